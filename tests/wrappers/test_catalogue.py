"""The page of the wrappers: its tables, pictures and snippets."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.wrappers.kit import WRAPPERS
from wrappers import catalogue
from wrappers.common.job import VERSION

PAGE = (WRAPPERS / "README.md").read_text(encoding="utf-8")
URL = f"https://github.com/snakemake-llmagent/snakemake-executor-plugin-llmagent/raw/v{VERSION}/wrappers"


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("Count events. Then stop.", "Count events."),
        ("Read ``.root`` files\nand\n  more.\n\nSecond paragraph.", "Read `.root` files and more."),
        ("Of `CERN <https://cern.ch>`_, 36 fb\\ :sup:`-1`. More", "Of [CERN](https://cern.ch), 36 fb⁻¹."),
        ("Yields, e.g. of |x|, ``a | b``|nl| and so on", "Yields, e.g. of \\|x\\|, `a \\| b` and so on"),
        ("Fit it (pyhf 0.7, arXiv:1.2). `More` here.", "Fit it (pyhf 0.7, arXiv:1.2)."),
    ],
)
def test_first_sentence(text: str, sentence: str) -> None:
    assert catalogue.first_sentence(text) == sentence


def test_every_row_says_what_its_wrapper_does() -> None:
    rows = re.findall(r"^\| `((?:phys|meta)/[\w/]+)` \| (.+) \| \[params\]", PAGE, re.MULTILINE)
    folders = [*WRAPPERS.glob("phys/*/*/wrapper.py"), *WRAPPERS.glob("meta/*/*/meta_wrapper.smk")]
    assert sorted(place for place, _ in rows) == sorted(
        path.parent.relative_to(WRAPPERS).as_posix() for path in folders
    )
    for place, text in rows:
        assert text[0].isupper() and text.endswith("."), place
        assert 30 < len(text) < 400, place
        assert ":sup:" not in text and "``" not in text and "`_" not in text, place


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection of one wrapper."""
    (tmp_path / "phys/a/b").mkdir(parents=True)
    (tmp_path / "phys/a/b/wrapper.py").touch()
    (tmp_path / "phys/a/b/meta.yaml").write_text("name: b\ndescription: Does it.\n")
    page = "<!-- catalogue -->\nof yesterday\n<!-- end of catalogue -->\n<!-- pictures -->\n<!-- end of pictures -->\n"
    (tmp_path / "README.md").write_text(f"{page}end\n")
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue, "GROUPS", {"All": ["phys/a/b"]})
    return tmp_path


def test_page_is_checked_and_renewed(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["--check"]) == 1
    assert "run python wrappers/catalogue.py" in capsys.readouterr().out
    assert "of yesterday" in (small / "README.md").read_text(), "--check changes nothing"
    assert catalogue.main([]) == 0
    page = (small / "README.md").read_text()
    assert "of yesterday" not in page and page.endswith("<!-- end of pictures -->\nend\n")
    assert "| `phys/a/b` | Does it. | [params](phys/a/b/meta.yaml)" in page
    assert catalogue.main(["--check"]) == 0


@pytest.mark.parametrize(
    "spoil, message",
    [
        ("meta.yaml is missing", r"meta\.yaml"),
        ("meta.yaml has no description", "phys/a/b/meta.yaml: there is no description"),
        ("a wrapper is in no group", "differ: phys/a/c"),
        ("the page has no place for it", "not one block called 'pictures'"),
    ],
)
def test_what_cannot_be_described_is_an_error(
    small: Path, capsys: pytest.CaptureFixture[str], spoil: str, message: str
) -> None:
    meta, page = small / "phys/a/b/meta.yaml", small / "README.md"
    if spoil == "meta.yaml is missing":
        meta.unlink()
    elif spoil == "meta.yaml has no description":
        meta.write_text("name: b\n")
    elif spoil == "a wrapper is in no group":
        (small / "phys/a/c").mkdir()
        (small / "phys/a/c/wrapper.py").touch()
    else:
        page.write_text(page.read_text().replace("<!-- pictures -->", ""))
    before = page.read_text()
    assert catalogue.main([]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert page.read_text() == before


def test_pictures_are_those_of_the_page() -> None:
    assert "\nDrawn by the wrappers' own tests. All of it is toy data or simulation.\n\n<!-- pictures -->" in PAGE
    shown = re.findall(r"!\[[^]]+\]\(images/(\w+)\.png\)", PAGE)
    assert shown == [one.name for one in catalogue.PICTURES]
    assert sorted(path.name for path in catalogue.IMAGES.iterdir()) == sorted(f"{name}.png" for name in shown)


@pytest.mark.parametrize("picture", catalogue.PICTURES, ids=lambda one: one.name)
def test_picture(picture: catalogue.Picture) -> None:
    path = catalogue.IMAGES / f"{picture.name}.png"
    assert path.stat().st_size < catalogue.MOST_BYTES
    with Image.open(path) as image:
        about = json.loads(image.info["provenance"])
        assert image.width == picture.width
        shades = np.asarray(image.convert("L"))
    assert about["wrapper"] == (picture.drawn_by or picture.wrapper)
    said = about["params"].get("label") or about["params"].get("status")
    assert said and re.search("toy|simulation", said, re.IGNORECASE), "the figure says that these are no real data"
    inked = shades < 200
    assert 0.02 < inked.mean() < 0.6
    assert inked.any(axis=0).mean() > 0.85 and inked.any(axis=1).mean() > 0.85, "it fills its frame"


def test_pictures_can_be_made_anew(tmp_path: Path) -> None:
    catalogue.make_pictures(["categories"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["categories.png"]
    made, kept = (
        np.asarray(Image.open(folder / "categories.png").convert("L")).astype(float)
        for folder in (tmp_path, catalogue.IMAGES)
    )
    assert made.shape == kept.shape
    assert np.corrcoef(made.ravel(), kept.ravel())[0, 1] > 0.9, "run python wrappers/catalogue.py --pictures categories"


def test_an_unknown_picture_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["--pictures", "stakc"]) == 2
    assert "there is no picture stakc" in capsys.readouterr().err


def test_a_picture_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt("provenance", "{}")
    noise = np.random.default_rng(1).integers(0, 256, (500, 500, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png", pnginfo=about)
    with pytest.raises(ValueError, match="bytes are too many"):
        catalogue.shrink(tmp_path / "noise.png", tmp_path / "small.png", 500)


SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONWARNINGS": ""}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_addresses_on_the_page_are_right() -> None:
    repository = tomllib.loads((WRAPPERS.parent / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert URL.startswith(f"{repository}/raw/")
    places = re.findall(r'"(https:|git\+file:///|file:)([^"]*?)wrappers/((?:phys|meta)/[^"@]+)(@[^"]+)?"', PAGE)
    assert [kind for kind, *_ in places].count("https:") == 3
    for kind, start, place, tag in places:
        assert (WRAPPERS / place).is_dir(), place
        if kind == "https:":
            assert f"https:{start}wrappers" == URL
        assert tag == (f"@v{VERSION}" if kind.startswith("git") else "")
    assert {kind for kind, *_ in places} == {"https:", "git+file:///", "file:"}


def test_the_first_rule_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNIPPETS[0].replace(URL, f"file:{WRAPPERS}"))
    toys = [str(tmp_path / name) for name in ("events.root", "b.root", "rntuple.root")]
    maker = WRAPPERS / "phys/uproot/skim/test/make_data.py"
    runpy.run_path(str(maker), init_globals={"snakemake": SimpleNamespace(output=toys)})
    snakemake(tmp_path, "diphotons.parquet")
    log = (tmp_path / "logs/select_diphotons.log").read_text()
    table = log[log.index("| cut |") :].strip()
    assert table.count("\n") == 4
    assert table in PAGE


def test_the_meta_wrapper_of_the_page_is_loaded(tmp_path: Path) -> None:
    module, changed = (one for one in SNIPPETS if "from diphoton" in one)
    text = f"{module}\n{changed}".replace(URL, f"file:{WRAPPERS}")
    (tmp_path / "Snakefile").write_text(text)
    target = re.search(r"snakemake --cores 4 (\S+)", PAGE)
    assert target
    said = snakemake(tmp_path, "--dry-run", "--printshellcmds", target[1])
    jobs = dict(re.findall(r"^(diphoton_\w+) +(\d+)$", said, re.MULTILINE))
    chain = {"fetch": "8", "normalise": "8", "skim": "8", "pairs": "2", "fit": "1", "plot": "1"}
    assert jobs == {f"diphoton_{name}": number for name, number in chain.items()}
