from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial

READ = "events = uproot.open(snakemake.input[0])['events'].arrays()\neta = events['eta']\nm = events['m_yy']\n"
SAVE = "Path(snakemake.output[0]).write_text(str(len(events[keep])))\n"
ONE = ("n.txt",)

BAD = [
    "keep = (abs(eta) < 1.52) | (abs(eta) > 1.37)\n",
    "keep = (np.abs(eta) > 1.37) | (np.abs(eta) < 1.52)\n",
    "keep = (1.52 > abs(eta)) | (1.37 < abs(eta))\n",
    "CRACK = (1.37, 1.52)\nkeep = (abs(eta) < CRACK[1]) | (abs(eta) > CRACK[0])\n",
    "LOW, HIGH = 1.37, 1.52\nkeep = (abs(eta) < np.float32(HIGH)) | (abs(eta) > np.float32(LOW))\n",
    "keep = np.logical_or(abs(eta) < 1.52, abs(eta) > 1.37)\n",
    "keep = (m > 105) & ((abs(eta) < 1.52) | (abs(eta) > 1.37))\n",
    "keep = (m > 160) & (m < 105)\n",
    "keep = (m < 120) & (m > 130)\n",
    "keep = (m < 120) & (eta > 0) & (m > 130)\n",
    "keep = (m > 125) & (m < 125)\n",
    "keep = np.logical_and(m > 160, m < 105)\n",
    "keep = [k for k in m if 160 < k < 105]\n",
    "keep = [k for k in m if k < 120 and k > 130]\n",
    "keep = [k for k in m if k != 1 or k != 2]\n",
    "keep = (events['n'] == 1) & (events['n'] == 2)\n",
    "keep = (events['m_yy'] > 160.0) & (events['m_yy'] < 105.0)\n",
    "keep = (m > 105e3) & (m < 160)\n",
    "low, high = snakemake.params.crack\nkeep = (abs(eta) < high) | (abs(eta) > low)\n",
    "window = snakemake.params.window\nkeep = ((m > window[0]) | (m < window[1])) & (eta > 0)\n",
    "m_min, m_max = snakemake.params.window\nkeep = (m < m_min) & (m > m_max)\n",
    "keep = (m >= snakemake.params.window[0]) | (m <= snakemake.params.window[1])\n",
]


@pytest.mark.parametrize("cut", BAD)
def test_cuts_that_never_cut_or_always_do(cut: str) -> None:
    findings = found(trial(READ + cut + SAVE, outputs=ONE))
    assert told(findings) == error("script.cut_never_cuts")
    assert len(findings) == 1


def test_the_message_says_why() -> None:
    (finding,) = found(trial(READ + BAD[0] + SAVE, outputs=ONE))
    assert "every value of `abs(eta)` is below 1.52 or above 1.37" in finding.message


@pytest.mark.parametrize(
    "cut",
    [
        "keep = (abs(eta) < 1.37) | (abs(eta) > 1.52)\n",
        "keep = ~((abs(eta) > 1.37) & (abs(eta) < 1.52))\n",
        "keep = (m > 105) & (m < 160)\n",
        "keep = (m < 120) | (m > 130)\n",
        "keep = (abs(eta) < 2.37) & ((abs(eta) < 1.37) | (abs(eta) > 1.52))\n",
        "keep = (m >= 125) & (m <= 125)\n",
        "keep = (abs(eta) < 1.52) | (eta > 1.37)\n",
        "keep = (m < 160) | (eta > 105)\n",
        "low, high = snakemake.params.crack\nkeep = (abs(eta) < low) | (abs(eta) > high)\n",
        "low, high = snakemake.params.window\nkeep = (m > low) & (m < high)\n",
        "bands = snakemake.params.bands\nkeep = (m > bands[1][0]) | (m < bands[0][1])\n",
        "upper_low, lower_high = snakemake.params.bands\nkeep = (m > upper_low) | (m < lower_high)\n",
        "low_eta, high_m = snakemake.params.limits\nkeep = (m > low_eta) | (m < high_m)\n",
        "window = snakemake.params.window\nkeep = (m > window[0]) | (eta < window[1])\n",
        "keep = ((m > 105) & (m < 120)) | ((m > 130) & (m < 160))\n",
        "keep = ((m > 130) & (m < 160)) | ((m > 105) & (m < 120))\n",
        "keep = (m > 105) & ~(m > 160)\n",
        "keep = (events['n'] == 1) | (events['n'] == 2)\n",
        "keep = (events['n'] != 1) & (events['n'] != 2)\n",
        "keep = [k for k in m if 105 < k < 160 or 10 < k < 20]\n",
        "keep = (m < 125) | (m >= 125)\n",
        "keep = (m > 105) & (m > 110) & (m < 160)\n",
        "keep = (3 > 5) | (m > 2)\n",
    ],
)
def test_cuts_that_cut(cut: str) -> None:
    assert found(trial(READ + cut + SAVE, outputs=ONE)) == ()
