"""What a rule made, for a page: small copies of images, the numbers of small documents, and descriptions of the rest.

Scripts of models made these files, so nothing here opens one with a native library: that is done behind walls.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.formats.render import render_description, size_text
from snakemake_executor_plugin_llmagent.protocols import Describe
from snakemake_executor_plugin_llmagent.report import numbers
from snakemake_executor_plugin_llmagent.report.facts import JobFacts, Made
from snakemake_executor_plugin_llmagent.text import one_line, shorten
from snakemake_executor_plugin_llmagent.trials import Worker

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp")
PIXELS = 720
"""How wide and high a small copy is at most."""
MOST_PICTURES = 6
"""How many images of a rule are shown."""
MOST_OUTPUTS = 24
"""How many outputs of a rule are shown."""
PAGE_BYTES = 4 << 20
"""How much of a page is images [bytes of base64]."""
SVG_BYTES = 200_000
DESCRIPTION = 6000
"""Longest description [characters]."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A small copy of an image, as a URI of its own, and its size [px]."""

    uri: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An output as a page shows it.

    Attributes:
        path: as the rule gives it.
        job: wildcards of its job, in words.
        what: format and size, or why it is not shown.
        twins: whether it was made from twins of blinded data.
        picture: of an image.
        entries: of a small JSON document; `more` are left out.
        description: of any other file.
    """

    path: str
    job: str = ""
    what: str = ""
    twins: bool = False
    picture: Picture | None = None
    entries: tuple[numbers.Entry, ...] = ()
    more: int = 0
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """What looks at files that nobody trusts.

    Attributes:
        describe: describes a file.
        read_ahead: describes several at once.
        worker: carries out operations on files.
    """

    describe: Describe
    read_ahead: Callable[[Sequence[Path]], None]
    worker: Worker


@dataclass(frozen=True)
class Gallery:
    """The outputs of rules, and how many of each rule are left out."""

    shown: Mapping[str, tuple[Shown, ...]]
    left: Mapping[str, int]
    problem: str = ""


def gallery(rules: Mapping[str, Sequence[JobFacts]], eyes: Eyes) -> Gallery:
    """The outputs of rules as a page shows them, all looked at together."""
    chosen: dict[str, list[tuple[str, Made]]] = {}
    for rule, jobs in rules.items():
        chosen[rule] = [(_job(facts), made) for facts in jobs for made in facts.outputs]
    left = {rule: max(0, len(outputs) - MOST_OUTPUTS) for rule, outputs in chosen.items()}
    chosen = {rule: outputs[:MOST_OUTPUTS] for rule, outputs in chosen.items()}
    places = [made.place for outputs in chosen.values() for _, made in outputs if not made.withheld]
    pictures, problem = _pictures(chosen, eyes), ""
    known = {place: _entries(place) for place in places}
    try:
        eyes.read_ahead([place for place, found in known.items() if not found and _is_looked_at(place, pictures)])
    except SandboxUnavailable as error:
        problem = one_line(str(error), 500)
    shown = {
        rule: tuple(_shown(job, made, pictures, known, None if problem else eyes.describe) for job, made in outputs)
        for rule, outputs in chosen.items()
    }
    return Gallery(shown, left, problem)


def _job(facts: JobFacts) -> str:
    return ", ".join(f"{name}={value}" for name, value in facts.wildcards.items())


def _is_looked_at(place: Path, pictures: Mapping[Path, Picture | str]) -> bool:
    return place.exists() and not isinstance(pictures.get(place), Picture)


def _shown(
    job: str, made: Made, pictures: Mapping[Path, Picture | str], known: Mapping[Path, tuple[numbers.Entry, ...]],
    describe: Describe | None,
) -> Shown:  # fmt: skip
    if made.withheld:
        return Shown(path=made.path, job=job, what=made.withheld)
    if not made.place.exists():
        return Shown(path=made.path, job=job, what="is not there")
    size = "" if made.place.is_dir() else size_text(made.place.stat().st_size)
    picture = pictures.get(made.place)
    if isinstance(picture, Picture):
        return Shown(path=made.path, job=job, what=size, twins=made.twins, picture=picture)
    found = known[made.place]
    if found:
        rows, more = found[: numbers.MOST_ROWS], max(0, len(found) - numbers.MOST_ROWS)
        return Shown(path=made.path, job=job, what=size, twins=made.twins, entries=rows, more=more)
    if describe is None:
        return Shown(path=made.path, job=job, what=f"{size}; was not looked at", twins=made.twins)
    first, _, rest = render_description(describe(made.place)).partition("\n")
    what = f"{first}; {picture}" if picture else first
    return Shown(path=made.path, job=job, what=what, twins=made.twins, description=shorten(rest, DESCRIPTION))


def _entries(place: Path) -> tuple[numbers.Entry, ...]:
    if place.suffix.lower() != ".json" or not place.is_file() or place.stat().st_size > numbers.MOST_BYTES:
        return ()
    return numbers.entries(place.read_text(encoding="utf-8", errors="replace"))


# --- images ---------------------------------------------------------------------------------------------------------


def _pictures(chosen: Mapping[str, Iterable[tuple[str, Made]]], eyes: Eyes) -> dict[Path, Picture | str]:
    """Place of an image → its small copy, or why there is none; images of all rules come in turn, up to a limit."""
    rows = [
        [made.place for _, made in outputs if not made.withheld and _is_image(made.place)][:MOST_PICTURES]
        for outputs in chosen.values()
    ]
    order = [row[turn] for turn in range(MOST_PICTURES) for row in rows if turn < len(row)]
    pixels = [place for place in order if place.suffix.lower() != ".svg"]
    copies = _copies(pixels, eyes.worker)
    found: dict[Path, Picture | str] = {}
    used = 0
    for place in order:
        picture = _svg(place) if place.suffix.lower() == ".svg" else copies[place]
        used += len(picture.uri) if isinstance(picture, Picture) else 0
        found[place] = picture if used <= PAGE_BYTES else "not shown: the page would become too large"
    return found


def _is_image(place: Path) -> bool:
    return place.suffix.lower() in (*IMAGES, ".svg") and place.is_file()


def _svg(place: Path) -> Picture | str:
    """An SVG as it is: as an image it can neither run anything nor load anything."""
    data = place.read_bytes() if place.stat().st_size <= SVG_BYTES else b""
    if not data.lstrip().startswith(b"<"):
        return "not shown: it is too large, or no SVG"
    return Picture(uri=f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}")


def _copies(places: Sequence[Path], worker: Worker) -> dict[Path, Picture | str]:
    """Small copies of images; if one of them ends the process that looks at all, each is looked at alone."""
    if not places:
        return {}
    try:
        worked = worker("thumbnails", {"paths": list(map(str, places)), "pixels": PIXELS}, read=places)
    except SandboxUnavailable as error:
        return dict.fromkeys(places, one_line(str(error), 300))
    if isinstance(worked.answer, list) and len(worked.answer) == len(places):
        return {place: _copy(told) for place, told in zip(places, worked.answer, strict=True)}
    if len(places) == 1:
        return {places[0]: f"not shown: {worked.problem or 'it cannot be read'}"}
    return {place: copy for each in places for place, copy in _copies([each], worker).items()}


def _copy(told: Any) -> Picture | str:
    """A copy as a process tells it that an image may have taken over."""
    if not isinstance(told, dict):
        return "not shown: it cannot be read"
    data, width, height = told.get("webp"), told.get("width"), told.get("height")
    if not (isinstance(data, str) and _BASE64.fullmatch(data) and type(width) is int and type(height) is int):
        return f"not shown: {one_line(str(told.get('problem', 'it cannot be read')), 200)}"
    return Picture(uri=f"data:image/webp;base64,{data}", width=width, height=height)
