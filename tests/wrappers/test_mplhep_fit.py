"""`phys/mplhep/fit`: what the figure of a fit says, shows and hides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wrappers.kit import WrapperFailed, call, run_snakefile

PLACE = "phys/mplhep/fit"


def spectrum(category: str = "", edges: Any = (100, 110, 120, 130), counts: Any = (9, 4, 1)) -> dict[str, Any]:
    widths = np.diff(edges).tolist()
    total = [5.0 * one for one in widths]
    return {
        "category": category,
        "observable": "m_yy",
        "unit": "GeV",
        "edges": list(edges),
        "counts": list(counts),
        "variances": list(counts),
        "total": total,
        "components": {"signal": [one * 0.2 for one in total], "background": [one * 0.8 for one in total]},
        "pulls": [1.0, -1.0, None, 0.5][: len(counts)],
        "curve": {"x": [100, 130], "total": [5, 5], "components": {"signal": [1, 1], "background": [4, 4]}},
    }


def result(*spectra: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {
        "mu": {"value": 1.0432, "error": 0.2123, "limits": [None, None]},
        "n_background": {"value": 30123.4, "error": 187.3, "limits": [0, None]},
        "slope": {"value": 3.3e-8, "error": 1.2e-9, "limits": [None, None]},
        "edge": {"value": 5.0, "error": 0.4, "limits": [0, 5]},
        "sigma": {"value": 1.7, "error": 0, "limits": [None, None]},
    }
    given = {"valid": True, "parameters": parameters, "gof": {"chi2": 21.34, "ndf": 20, "p": 0.377}}
    return {**given, "spectra": list(spectra) or [spectrum()], **more}


def drawn(tmp_path: Path, document: Any, **params: Any) -> tuple[str, str]:
    """The texts of the figure, and the figure as SVG."""
    path = tmp_path / "fit.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    call(PLACE, tmp_path, input=[path], output=[tmp_path / "p.svg"], params={"status": "Toy Data", **params})
    svg = (tmp_path / "p.svg").read_text()
    return "\n".join(re.findall(r"<!-- (.*?) -->", svg, flags=re.DOTALL)), svg


def markers(svg: str) -> int:
    """How many black points there are, from the definitions that are drawn with `use` and have no tick's place."""
    groups = re.findall(r"<g clip-path=[^>]*>\s*((?:<use [^>]*>\s*)+)</g>", svg)
    return sum(group.count("<use") for group in groups)


def test_snakefile(tmp_path: Path) -> None:
    folder = run_snakefile(PLACE, tmp_path) / "results"
    with Image.open(folder / "fit.png") as image:
        assert json.loads(image.info["provenance"])["wrapper"] == PLACE
        shades = np.asarray(image.convert("L"))
    assert shades.shape == (960, 1920), "two categories beside each other"
    assert all(0.02 < np.mean(half < 250) < 0.9 for half in np.split(shades, 2, axis=1))
    svg = (folder / "central.svg").read_text()
    assert (
        "mass = 125.03 ± 0.31" in svg
        and "sigma = 1.7 (fixed)" in svg
        and "mu_signal" not in svg.split("</metadata>")[1]
    )
    assert markers(svg) == 2 * 55, "55 points above and 55 below"


def test_the_box_gives_values_with_two_digits_of_the_error(tmp_path: Path) -> None:
    text, _ = drawn(tmp_path, result())
    assert "mu = 1.04 ± 0.21" in text and "n_background = 30123 ± 187" in text
    assert r"slope = (33.0 ± 1.2) $\times$ 10$^{-9}$" in text
    assert "edge = 5.00 ± 0.40 (at limit)" in text and "sigma" not in text
    assert r"$\chi^2$/ndf = 21.3/20, p = 0.38" in text
    text, _ = drawn(tmp_path, result(), parameters=["sigma"], labels={"sigma": r"$\sigma$"})
    assert r"$\sigma$ = 1.7 (fixed)" in text and "mu =" not in text
    text, _ = drawn(tmp_path, result(), parameters=False)
    assert "mu =" not in text and "chi" not in text


def test_an_invalid_fit_says_so(tmp_path: Path) -> None:
    assert "fit not valid" in drawn(tmp_path, result(valid=False))[0]
    assert "fit not valid" not in drawn(tmp_path, result())[0]


def test_each_category_has_a_plot_and_one_can_be_chosen(tmp_path: Path) -> None:
    document = result(spectrum("low"), spectrum("high"))
    text, both = drawn(tmp_path, document)
    assert "low" in text and "high" in text
    text, one = drawn(tmp_path, document, category="high", labels={"high": "High mass"}, parameters=False)
    assert "High mass" in text and "low" not in text
    assert markers(both) == 2 * markers(one) == 2 * (3 + 2), "three points and the two pulls that exist"


def test_blinded_points_are_not_drawn(tmp_path: Path) -> None:
    params: dict[str, Any] = {"blind": [112, 118], "panel": "difference", "parameters": False}
    text, svg = drawn(tmp_path, result(), **params)
    _, twin = drawn(tmp_path, result(spectrum(counts=(9, 5000, 1))), **params)
    assert "Pseudo-data (blinded)" in text and markers(svg) == 4
    provenance = re.compile(r"<dc:description>.*?</dc:description>", flags=re.DOTALL)
    assert provenance.sub("", svg) == provenance.sub("", twin)


def heights(svg: str) -> list[float]:
    """Vertical places of the points in the upper plot, in the order of the bins."""
    group = re.findall(r"<g clip-path=[^>]*>\s*((?:<use [^>]*>\s*)+)</g>", svg)[0]
    return [float(one) for one in re.findall(r' y="([\d.]+)"', group)]


def test_unequal_bins_are_drawn_per_unit(tmp_path: Path) -> None:
    text, svg = drawn(tmp_path, result(spectrum(edges=(100, 105, 110, 130), counts=(5, 10, 40))), panel="none")
    first, second, third = heights(svg)
    assert second == pytest.approx(third) and first > second, "10 in 5 GeV is as high as 40 in 20 GeV"
    assert "Events / GeV" in text
    text, _ = drawn(tmp_path, result())
    assert "Events / 10 GeV" in text


def test_what_is_called_data(tmp_path: Path) -> None:
    text, _ = drawn(tmp_path, result(), status="Open Data", experiment="CMS", luminosity=11.6, energy=8)
    assert {"CMS", "Open Data", "Data"} <= set(text.splitlines()) and "11.6 fb" in text and "Pseudo" not in text
    text, _ = drawn(tmp_path, result(), status="Simulation")
    assert {"Simulation", "Pseudo-data"} <= set(text.splitlines())


@pytest.mark.parametrize(
    ("panel", "log", "counts"),
    [
        ("pulls", True, (0, 0, 0)),
        ("difference", False, (0, 0, 0)),
        ("none", False, (0, 0, 0)),
        ("difference", True, (3, 0, 9)),
    ],
)
def test_few_and_no_events_are_drawn(tmp_path: Path, panel: str, log: bool, counts: Any) -> None:
    empty = spectrum(counts=counts)
    if not any(counts):
        empty |= {"total": [0, 0, 0], "components": {"background": [0, 0, 0]}, "pulls": None, "curve": None}
    text, svg = drawn(tmp_path, result(empty), panel=panel, log=log)
    assert "Pseudo-data" in text and markers(svg) >= 3


def test_the_same_bytes_again(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(result()))
    for place in ("a", "b"):
        call(PLACE, tmp_path, input=[path], output=[tmp_path / place / "p.png"], params={"status": "Toy Data"})
    assert (tmp_path / "a" / "p.png").read_bytes() == (tmp_path / "b" / "p.png").read_bytes()


SHORT = {**spectrum(), "total": [1.0]}


@pytest.mark.parametrize(
    ("document", "params", "message"),
    [
        (result(), {"status": None}, "status is missing"),
        (result(), {"status": "Preliminary"}, "its own reviewed results"),
        (result(spectrum("low")), {"category": "lwo"}, "no category 'lwo'. Did you mean low?"),
        (result(), {"components": ["sgnal"]}, "components: there is no 'sgnal' in the fit. Did you mean signal?"),
        (result(), {"parameters": ["mmu"]}, "no 'mmu' in the fit. Did you mean mu"),
        (result(), {"labels": {"nonsense": "x"}}, "labels: there is no 'nonsense'"),
        (result(), {"panel": "pull"}, "panel='pull' is none of pulls"),
        (
            result({**spectrum(), "components": {"a": [1, 1, 1]}}),
            {"panel": "difference"},
            "which components are background",
        ),
        ({"valid": True}, {}, "no list 'spectra' in it"),
        ([], {}, "no list 'spectra' in it"),
        ("{", {}, "not JSON"),
        (result({"category": "x"}), {}, "KeyError: 'counts'"),
        (result(SHORT), {}, "total has 1 bins, the edges make 3"),
    ],
)
def test_wrong_params_and_files(tmp_path: Path, document: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(WrapperFailed) as caught:
        drawn(tmp_path, document, **params)
    assert message in str(caught.value) and "Traceback" not in str(caught.value)
