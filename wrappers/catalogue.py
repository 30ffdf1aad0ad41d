"""Write the tables of `wrappers/README.md` from the `meta.yaml` of each wrapper.

`python wrappers/catalogue.py` brings the page up to date, with `--check` it only tells whether it is (exit status 1).
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent
BLOCK = re.compile(r"(<!-- catalogue -->\n).*?(<!-- end of catalogue -->)", re.DOTALL)


def catalogue() -> str:
    """Return a table of all wrappers: place, what it does, inputs and outputs."""
    lines = ["| wrapper | does |", "|---|---|"]
    for path in sorted([*ROOT.glob("phys/*/*/meta.yaml"), *ROOT.glob("meta/*/*/meta.yaml")]):
        meta = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        place = path.parent.relative_to(ROOT).as_posix()
        lines.append(f"| [`{place}`]({place}/meta.yaml) | {one_line(meta['description'])} |")
    return "\n".join(lines) + "\n"


def one_line(description: str) -> str:
    """Return the first paragraph of a description in Markdown: literals of reStructuredText lose a backtick."""
    paragraph = description.replace("|nl|", " ").strip().split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`").replace("|", "\\|")


def renewed(text: str) -> str:
    """Return the page with its table brought up to date."""
    return BLOCK.sub(lambda match: match[1] + catalogue() + match[2], text)


def main(arguments: list[str]) -> int:
    """Renew the page, or tell whether it is up to date."""
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    new = renewed(text)
    if new == text:
        return 0
    if "--check" in arguments:
        print("wrappers/README.md is not up to date: run python wrappers/catalogue.py")
        return 1
    page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
