from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

READ = "a = dict(np.load(snakemake.input[0]))\niso1, iso2, pt1, pt2, x, y = (a[n] for n in 'abcdef')\n"
WRITE = "np.savez(snakemake.output[0], keep=keep)\n"


@pytest.mark.parametrize(
    ("source", "twice"),
    [
        ("keep = (iso1 / pt1 < 0.1) & (iso1 / pt1 < 0.1)\n", "both sides of `&`"),
        ("keep = (x > 3) & (iso1 / pt1 < 0.1) & (iso1 / pt1 < 0.1)\n", "both sides of `&`"),
        ("keep = (abs(x) < 1.37) | (abs(x) < 1.37)\n", "both sides of `|`"),
        ("keep = np.logical_and(pt1 > 30, pt1 > 30)\n", "both sides of `&`"),
        ("keep = [k for k in x if k > 30 and k > 30]\n", "both sides of `&`"),
        ("keep = np.cosh(x - x)\n", "both sides of `-`"),
        ("keep = a['eta1'].astype(float) - a['eta1'].astype(float)\n", "both sides of `-`"),
        ("keep = pt1.mean() / pt1.mean()\n", "both sides of `/`"),
        ("keep = pt1 > pt1\n", "both sides of `>`"),
        ("keep = np.subtract(x, x)\n", "both sides of `-`"),
    ],
)
def test_the_same_on_both_sides(source: str, twice: str) -> None:
    findings = found(trial(READ + source + WRITE))
    assert told(findings) == error("script.same_operands")
    assert twice in findings[0].message


@pytest.mark.parametrize(
    "source",
    [
        "keep = (pt1 > 30) & (abs(x) < 2.4) & (pt1 > 30)\n",
        "keep = (pt1 > 30) & ((abs(x) < 2.4) & (y > 0) & (pt1 > 30))\n",
    ],
)
def test_a_condition_that_is_said_again_may_be_harmless(source: str) -> None:
    assert told(found(trial(READ + source + WRITE))) == warning("script.same_operands")


@pytest.mark.parametrize(
    "source",
    [
        "keep = (iso1 / pt1 < 0.1) & (iso2 / pt2 < 0.1)\n",
        "keep = x * x + x + x\n",
        "keep = (x != x) | (y == y)\n",
        "keep = np.cosh(x - y) - np.cos(x - y)\n",
        "MEV = 1000.0\nkeep = x * (MEV / MEV)\n",
        "lines = iter(x)\nkeep = next(lines) - next(lines)\n",
        "f = open(snakemake.input[0])\nkeep = float(f.readline()) / float(f.readline())\n",
        "keep = ((x > 1) & (y > 1)) | ((x > 1) & (y < -1))\n",
        "keep = (x > 105) & (x < 160)\n",
        "keep = ~(x > 1) & (x > 1.0)\n",
    ],
)
def test_what_stands_on_both_sides_and_is_right(source: str) -> None:
    assert found(trial(READ + source + WRITE)) == ()
