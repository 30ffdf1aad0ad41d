"""Write the tables of `wrappers/README.md` from the `meta.yaml` of each wrapper, and make its pictures.

`python wrappers/catalogue.py` brings the page up to date, with `--check` it only tells whether it is (exit status 1).
`python wrappers/catalogue.py --pictures` runs the test Snakefiles that draw, and puts their figures into `images/`;
names of pictures after it make only those.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent
IMAGES = ROOT / "images"
MOST_BYTES = 60_000
COLOURS = 128

GROUPS = {
    "Get data": ["phys/opendata/fetch", "phys/opendata/normalise", "phys/uproot/inspect"],
    "Select events": ["phys/uproot/skim", "phys/vector/pairs", "phys/awkward/flatten"],
    "Tell signal from background": ["phys/ml/train", "phys/ml/apply", "phys/stats/categorise"],
    "Count and fit": ["phys/hist/fill", "phys/zfit/fit", "phys/pyhf/workspace", "phys/cabinetry/fit"],
    "Is it there?": ["phys/stats/significance", "phys/stats/limit"],
    "Show and publish": ["phys/mplhep/stack", "phys/mplhep/fit", "phys/hepdata/export"],
    "All in one": ["meta/phys/diphoton"],
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that the test Snakefile of a wrapper draws.

    Attributes:
        name: of the file in `images/`, without suffix.
        wrapper: whose test it is.
        figure: the file that the Snakefile makes.
        drawn_by: the wrapper that draws it, where it is another.
        width: in pixels.
        caption: what is seen; toy data are called so.
    """

    name: str
    wrapper: str
    figure: str
    caption: str
    drawn_by: str = ""
    width: int = 840


PICTURES = [
    Picture(
        name="diphoton",
        wrapper="meta/phys/diphoton",
        figure="results/2020/fit.png",
        drawn_by="phys/mplhep/fit",
        caption="From ntuples to a fit: the meta-wrapper, on toy data in the layout of ATLAS Open Data",
    ),
    Picture(
        name="stack",
        wrapper="phys/mplhep/stack",
        figure="results/m_yy.png",
        caption="Toy data over a stack with its uncertainty, the signal region blinded",
    ),
    Picture(
        name="roc",
        wrapper="phys/ml/train",
        figure="results/roc.png",
        caption="How well a classifier tells toy signal from toy background, fold by fold",
    ),
    Picture(
        name="scores",
        wrapper="phys/ml/train",
        figure="results/scores.png",
        caption="Its scores, for events it learned from and for others (toys)",
    ),
    Picture(
        name="categories",
        wrapper="phys/stats/categorise",
        figure="results/categories.png",
        width=1240,
        caption="Boundaries of a score, added while they gain significance (toys)",
    ),
    Picture(
        name="fit",
        wrapper="phys/mplhep/fit",
        figure="results/fit.png",
        width=1240,
        caption="Two categories fitted together (toy data)",
    ),
    Picture(
        name="ranking",
        wrapper="phys/cabinetry/fit",
        figure="results/ranking.png",
        caption="Which nuisance parameters move the signal strength, and how far the fit pulls them (toy workspace)",
    ),
    Picture(
        name="pulls",
        wrapper="phys/cabinetry/fit",
        figure="results/pulls.png",
        caption="Nuisance parameters after that fit, in units of their width before it",
    ),
    Picture(
        name="q0",
        wrapper="phys/stats/significance",
        figure="results/toys.png",
        caption="q₀ of toys with and without signal, and the asymptotic formula",
    ),
    Picture(
        name="limit",
        wrapper="phys/stats/limit",
        figure="results/workspace.png",
        caption="CLs over the signal strength: the upper limit, expected and observed (toy workspace)",
    ),
]


def catalogue() -> str:
    """Return a table of all wrappers for each group: place, what it does, where to read on.

    Raises:
        ValueError: if a wrapper is in no group, or a group names one that is not there.
        OSError: if a wrapper has no `meta.yaml`.
    """
    there = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("phys/*/*/wrapper.py")}
    there |= {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("meta/*/*/meta_wrapper.smk")}
    grouped = [place for places in GROUPS.values() for place in places]
    if wrong := there.symmetric_difference(grouped):
        raise ValueError(f"GROUPS in wrappers/catalogue.py and the folders differ: {', '.join(sorted(wrong))}")
    lines = []
    for group, places in GROUPS.items():
        lines += [f"### {group}", "", "| wrapper | what it does | |", "|---|---|---|"]
        for place in places:
            links = f"[params]({place}/meta.yaml), [example]({place}/test/Snakefile)"
            lines.append(f"| `{place}` | {first_sentence(description(place))} | {links} |")
        lines.append("")
    return "\n".join(lines)


def description(place: str) -> str:
    """Return the description in the `meta.yaml` of a wrapper.

    Raises:
        OSError: if there is no such file.
        ValueError: if it has no description.
    """
    path = ROOT / place / "meta.yaml"
    meta = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    text = str(meta.get("description") or "").strip() if isinstance(meta, dict) else ""
    if not text:
        raise ValueError(f"{path.relative_to(ROOT.parent)}: there is no description")
    return text


def first_sentence(text: str) -> str:
    """Return the first sentence of a description, from reStructuredText to Markdown in one line."""
    text = " ".join(text.replace("|nl|", " ").split("\n\n")[0].split())
    text = re.sub(r"`([^`<]+?) <([^`>]+)>`_", r"[\1](\2)", text)
    text = re.sub(r"\\ :sup:`([^`]+)`", lambda match: match[1].translate(SUPERSCRIPTS), text)
    text = text.replace("``", "`").replace("|", "\\|")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\[])", text, maxsplit=1)[0]


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def gallery() -> str:
    """Return a table of two pictures in each row, with what they show and the wrapper that made them."""
    lines = ["| | |", "|---|---|"]
    for left, right in zip(PICTURES[::2], PICTURES[1::2], strict=True):
        cells = [f"![{one.caption}](images/{one.name}.png)<br>{one.caption}. `{one.wrapper}`" for one in (left, right)]
        lines.append(f"| {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


BLOCKS = {"catalogue": catalogue, "pictures": gallery}


def renewed(text: str) -> str:
    """Return the page with its generated parts brought up to date.

    Raises:
        ValueError: if the page lacks one of their places.
    """
    for name, made in BLOCKS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if (text.count(start), text.count(end)) != (1, 1):
            raise ValueError(f"wrappers/README.md has not one block called {name!r}")
        before, _, rest = text.partition(start)
        text = f"{before}{start}{made()}{end}{rest.partition(end)[2]}"
    return text


def run_tests(wrapper: str, folder: Path, figures: list[str]) -> Path:
    """Run the test Snakefile of a wrapper below `folder` until these figures are there; return where it ran.

    Raises:
        RuntimeError: with what Snakemake said, if it failed.
    """
    place = folder / wrapper.replace("/", "_")
    shutil.copytree(ROOT / wrapper / "test", place / "test")
    (place / "master").symlink_to(ROOT)
    command = [sys.executable, "-m", "snakemake", *figures, "--cores", "2", "--show-failed-logs"]
    command += ["--wrapper-prefix", f"file://{place}/"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=place / "test", env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{wrapper}: {done.stdout}\n{done.stderr}")
    return place / "test"


def shrink(figure: Path, picture: Path, width: int) -> None:
    """Write a figure with fewer pixels and colours; its provenance stays in it.

    Raises:
        ValueError: if the picture is still too large.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    with Image.open(figure) as image:
        about = PngInfo()
        about.add_itxt("provenance", image.info["provenance"])
        height = round(image.height * width / image.width)
        small: Any = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    # of all methods, this one keeps the colours of thin lines
    small = small.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(picture, optimize=True, pnginfo=about)
    if picture.stat().st_size >= MOST_BYTES:
        raise ValueError(f"{picture}: {picture.stat().st_size:,} bytes are too many: make it smaller")


def make_pictures(names: list[str], to: Path = IMAGES) -> None:
    """Make the pictures of these names (without names all) by the test Snakefiles of their wrappers.

    Raises:
        ValueError: for a name that is none.
    """
    if unknown := set(names) - {one.name for one in PICTURES}:
        raise ValueError(f"there is no picture {', '.join(sorted(unknown))}")
    wanted = [one for one in PICTURES if one.name in names or not names]
    to.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for wrapper in dict.fromkeys(one.wrapper for one in wanted):
            pictures = [one for one in wanted if one.wrapper == wrapper]
            folder = run_tests(wrapper, Path(temporary), [one.figure for one in pictures])
            for one in pictures:
                shrink(folder / one.figure, to / f"{one.name}.png", one.width)
                print(f"{one.name}.png, by {wrapper}")


def main(arguments: list[str]) -> int:
    """Renew the page or its pictures, or tell whether the page is up to date."""
    try:
        if "--pictures" in arguments:
            make_pictures([one for one in arguments if not one.startswith("--")])
        page = ROOT / "README.md"
        text = page.read_text(encoding="utf-8")
        new = renewed(text)
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    if new == text:
        return 0
    if "--check" in arguments:
        print("wrappers/README.md is not up to date: run python wrappers/catalogue.py")
        return 1
    page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
