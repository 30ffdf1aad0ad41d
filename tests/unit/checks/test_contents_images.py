"""Images that show nothing, and outputs that are those of another job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Case, Sibling
from snakemake_executor_plugin_llmagent.checks.contents.images import images_show
from snakemake_executor_plugin_llmagent.checks.contents.siblings import not_identical, same
from snakemake_executor_plugin_llmagent.gates.contents import beside
from tests.unit.checks.test_contents_files import N, a_case, events, said, write

# --- images -----------------------------------------------------------------------------------------------------------


def drawn(path: Path, draw: Any, **options: Any) -> Path:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    with pyplot.style.context(options.pop("style", "default")):
        figure, axes = pyplot.subplots(**options)
        draw(axes)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        pyplot.close(figure)
    return path


def ticks_inside(axes: Any) -> None:
    axes.tick_params(direction="in", which="both", top=True, right=True, length=8)
    axes.minorticks_on()
    axes.set(xlabel="m_yy [GeV]", ylabel="Events", xlim=(105, 160))


EMPTY: dict[str, Any] = {
    "nothing": lambda axes: None,
    "labels": lambda axes: axes.set(xlabel="m_yy [GeV]", ylabel="Events", title="Simulation", xlim=(105, 160)),
    "inside": ticks_inside,
    "outside": lambda axes: (axes.plot([125_000, 126_000], [1, 2]), axes.set(xlim=(105, 160), ylim=(0, 3))),
    "zero": lambda axes: (axes.plot([], []), axes.set(xlabel="x")),
}
SHOWN: dict[str, Any] = {
    "line": lambda axes: axes.plot([1, 2, 3]),
    "point": lambda axes: axes.plot([1], [1], "o"),
    "corner": lambda axes: axes.plot([0, 0, 1], [0, 1, 1], lw=2),
    "band": lambda axes: (axes.fill_between([0, 1], [0, 0], [1, 0.1]), axes.set(xlim=(0, 1), ylim=(0, 4))),
    "flat": lambda axes: (axes.axhline(0.1), axes.set(ylim=(0, 5), xlim=(0, 1))),
    "text": lambda axes: axes.text(0.4, 0.5, "no events"),
    "heat": lambda axes: axes.imshow(np.random.default_rng(1).random((20, 20))),
    "no frame": lambda axes: (axes.axis("off"), axes.plot([1, 2])),
}


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("kind", EMPTY)
def test_empty_axes(tmp_path: Path, kind: str, style: str) -> None:
    image = drawn(tmp_path / "a.png", EMPTY[kind], style=style)
    assert said(images_show, a_case(tmp_path, None, {"a.png": image})) == ["error image.blank"]


@pytest.mark.parametrize("size", [(4, 3), (9, 5)])
@pytest.mark.parametrize("kind", SHOWN)
def test_axes_that_show_something(tmp_path: Path, kind: str, size: tuple[float, float]) -> None:
    image = drawn(tmp_path / "a.png", SHOWN[kind], figsize=size, dpi=150)
    assert said(images_show, a_case(tmp_path, None, {"a.png": image})) == []


def test_several_axes_of_which_one_shows_something(tmp_path: Path) -> None:
    image = drawn(tmp_path / "a.png", lambda axes: axes[1].plot([1, 2, 3]), ncols=2)
    assert said(images_show, a_case(tmp_path, None, {"a.png": image})) == []


def test_images_that_are_nearly_blank(tmp_path: Path) -> None:
    blank = np.full((300, 400, 3), 255, np.uint8)
    dot = blank.copy()
    dot[10:13, 10:13] = 0
    assert said(images_show, a_case(tmp_path, None, {"a.png": dot})) == ["error image.blank"]
    # One colour alone is found without us, and noise is an image.
    assert said(images_show, a_case(tmp_path, None, {"b.png": blank})) == []
    noise = np.random.default_rng(1).integers(0, 255, (50, 60, 3)).astype(np.uint8)
    assert said(images_show, a_case(tmp_path, None, {"c.png": noise})) == []


# --- siblings ---------------------------------------------------------------------------------------------------------


def with_sibling(folder: Path, name: str, mine: Any, other: Any, before: Any = None, after: Any = None) -> Case:
    there = write(folder / "there" / name, other)
    inputs: tuple[tuple[Path, Path], ...] = ()
    if before is not None:
        inputs = ((write(folder / "a.parquet", before), write(folder / "b.parquet", after)),)
    sibling = Sibling(wildcards={"sample": "VBF"}, path=f"VBF/{name}", place=there, own=name, inputs=inputs)
    return a_case(folder, None, {name: mine}, siblings=(sibling,))


def test_outputs_of_other_jobs(tmp_path: Path) -> None:
    table, other = events(), events(met=np.arange(N))
    same_inputs = with_sibling(tmp_path / "same", "o.parquet", table, table, table, table)
    other_inputs = with_sibling(tmp_path / "other", "o.parquet", table, table, table, other)
    assert said(not_identical, same_inputs) == ["warning output.identical"]
    assert said(not_identical, other_inputs) == ["error output.identical"]
    assert said(not_identical, with_sibling(tmp_path, "o.parquet", table, other, table, other)) == []
    document = with_sibling(tmp_path, "o.json", {"a": 1}, {"a": 1}, table, other)
    assert said(not_identical, document) == ["warning output.identical"]
    assert "`VBF/o.json` of the job with sample=VBF" in next(iter(not_identical(document))).message


def test_root_files_are_the_same_if_they_hold_the_same(tmp_path: Path) -> None:
    pytest.importorskip("awkward")
    edges = np.linspace(0, 1, 4)
    held = {"t": {"x": np.arange(50.0)}, "h": ([1.0, 2.0, 3.0], edges)}
    one, two = write(tmp_path / "1.root", held), write(tmp_path / "2.root", held)
    assert one.read_bytes() != two.read_bytes()
    assert same(one, two)
    for number, other in enumerate((
        {**held, "t": {"x": np.arange(50.0) + 1}}, {**held, "h": ([1.0, 2.0, 4.0], edges)}, {"t": held["t"]},
        {**held, "t": {"y": np.arange(50.0)}},
    )):  # fmt: skip
        assert not same(one, write(tmp_path / f"other{number}.root", other))
    (tmp_path / "broken.root").write_bytes(b"root")
    assert not same(one, tmp_path / "broken.root")
    assert not same(one, tmp_path / "gone.root")


def test_paths_of_other_jobs() -> None:
    own, other = {"source": "simulation", "sample": "data"}, {"source": "simulation", "sample": "ggH"}
    told = list(beside("data/simulation/normalised/data.root", own, other))
    assert told[0] == "ggH/simulation/normalised/ggH.root"
    assert set(told[1:]) == {"ggH/simulation/normalised/data.root", "data/simulation/normalised/ggH.root"}
    assert list(beside("results/fit.json", own, other)) == []
    assert list(beside("a/data.root", own, own)) == []
    assert list(beside("x" + "/data" * 9, own, other)) == []
    both = list(beside("r/up_1.json", {"a": "up", "b": "1"}, {"a": "down", "b": "2"}))
    assert both[0] == "r/down_2.json"
