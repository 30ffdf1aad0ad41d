"""Copy the parts of `common/` into the wrappers that carry them.

A wrapper names its parts by a pair of comment lines; what stands between them is replaced:

    # --- common: job (kept by wrappers/embed.py; edit wrappers/common/job.py) ---
    # --- end of common ---

`python wrappers/embed.py` brings all wrappers up to date, with `--check` it only tells which are not (exit status 1).
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BLOCK = re.compile(r"^# --- common: (\w+)\b.*\n(?:.*\n)*?# --- end of common ---$", re.MULTILINE)
OWN_IMPORT = re.compile(r"^from wrappers\.common\.(\w+) import (?:\((?:.|\n)*?\)|.*)\n", re.MULTILINE)


def part(name: str, earlier: set[str]) -> str:
    """Return the text of a part as it stands in a wrapper: imports of other parts are dropped.

    Raises:
        ValueError: if a part that it imports does not stand earlier in the wrapper.
    """
    text = (ROOT / "common" / f"{name}.py").read_text(encoding="utf-8")
    missing = {match[1] for match in OWN_IMPORT.finditer(text)} - earlier
    if missing:
        raise ValueError(f"common part {name!r} needs {', '.join(sorted(missing))} before it")
    text = OWN_IMPORT.sub("", text)
    head = f"# --- common: {name} (kept by wrappers/embed.py; edit wrappers/common/{name}.py) ---"
    text = re.sub(
        r'\A"""(.*?)"""\n',
        lambda match: "".join(f"# {line}".rstrip() + "\n" for line in match[1].split("\n")),
        text,
        flags=re.DOTALL,
    )
    text = re.sub(r"\n{4,}", "\n\n\n", text.strip())  # what is left where imports were dropped, as the formatter has it
    return f"{head}\n{text}\n\n\n# --- end of common ---"


def embedded(text: str) -> str:
    """Return the text of a wrapper with its parts brought up to date."""
    seen: set[str] = set()

    def renew(match: re.Match[str]) -> str:
        block = part(match[1], seen)
        seen.add(match[1])
        return block

    return BLOCK.sub(renew, text)


def main(arguments: list[str]) -> int:
    """Bring all wrappers up to date, or with `--check` list those that are not."""
    stale = []
    for path in sorted(ROOT.glob("phys/*/*/wrapper.py")):
        text = path.read_text(encoding="utf-8")
        try:
            new = embedded(text)
        except (ValueError, OSError) as error:
            print(f"{path.relative_to(ROOT.parent)}: {error}", file=sys.stderr)
            return 2
        if new != text:
            stale.append(path)
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    for path in stale:
        print(("stale: " if "--check" in arguments else "renewed: ") + str(path.relative_to(ROOT.parent)))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
