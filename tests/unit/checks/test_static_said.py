from __future__ import annotations

from dataclasses import replace

import pytest

from snakemake_executor_plugin_llmagent.spec import Kind, Slot
from tests.unit.checks.static_support import error, found, told, trial, warning

PAIRS = "t = pd.read_parquet(snakemake.input[0])\nq1, q2 = t['charge1'].to_numpy(), t['charge2'].to_numpy()\n"
WRITE = "np.savez(snakemake.output[0], kept=kept)\n"
OPPOSITE = "Take pairs of opposite charge with 81 < m_ee < 101 GeV."


@pytest.mark.parametrize("text", [OPPOSITE, "Two oppositely charged leptons.", "Pairs of opposite sign."])
@pytest.mark.parametrize(
    "source",
    [
        "kept = t[q1 * q2 > 0]\n",
        "kept = t[(q1 * q2 > 0) & (t['m'] > 81)]\n",
        "same = t['charge1'].astype(int) * t['charge2'].astype(int) == 1\nkept = t[same]\n",
        "kept = t[q1 == q2]\n",
        "kept = t[~(q1 != q2)]\n",
        "product = q1 * q2\ncuts = {'all': t['m'] > 0, 'charge': product > 0}\npassed = np.ones(9, bool)\n"
        "for name, cut in cuts.items():\n    passed = passed & cut\n    print(name, passed.sum())\nkept = t[passed]\n",
        "kept = t[q1 + q2 != 0]\n",
        "kept = []\nfor a, b in zip(t['charge1'], t['charge2']):\n    charges = a, b\n"
        "for row in t.itertuples():\n    if row.charge1 * row.charge2 < 0:\n        continue\n    kept.append(row)\n",
        "kept = [row for row in t.itertuples() if row.charge1 == row.charge2]\n",
        "def good(t):\n    return np.logical_not(t['charge1'] * t['charge2'] < 0)\nkept = t[good(t)]\n",
    ],
)
def test_the_other_charges(source: str, text: str) -> None:
    findings = found(trial(PAIRS + source + WRITE, text, inputs=("data.parquet",)))
    assert told(findings) == error("script.charge_sign")
    assert "asks for pairs of opposite charge" in findings[0].message


@pytest.mark.parametrize(
    "source",
    [
        "kept = t[q1 * q2 < 0]\n",
        "kept = t[q1 != q2]\n",
        "kept = t[~(q1 * q2 > 0)]\n",
        "kept = t[q1 == -q2]\n",
        "kept = t[q1 + q2 == 0]\n",
        "same = q1 * q2 > 0\nkept = t[~same]\n",
        "kept = [row for row in t.itertuples() if not row.charge1 == row.charge2]\n",
        "kept = []\nfor row in t.itertuples():\n    if row.charge1 * row.charge2 > 0:\n        continue\n"
        "    kept.append(row)\n",
        # a region of the same charge beside
        "kept = t[q1 * q2 < 0]\nbackground = t[q1 * q2 > 0]\n",
        # nobody can see what is kept
        "kept = np.where(q1 * q2 > 0, 0.0, t['m'])\n",
        "kept = t.assign(same=q1 * q2 > 0)\n",
        "n = (q1 * q2 > 0).sum()\nprint(n)\nkept = t[q1 * q2 < 0]\n",
        "kept = t[t['m'] * t['weight'] > 0]\n",
        "kept = t[q1 * t['m'] > 0]\n",
    ],
)
def test_charges_as_they_are_asked_for(source: str) -> None:
    assert found(trial(PAIRS + source + WRITE, OPPOSITE, inputs=("data.parquet",))) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Pairs of the same charge.",
        "Pairs of opposite charge, and those of the same sign.",
        "No pairs of opposite charge.",
    ],
)
def test_sentences_that_do_not_ask_for_opposite_charges(text: str) -> None:
    assert found(trial(PAIRS + "kept = t[q1 * q2 > 0]\n" + WRITE, text, inputs=("data.parquet",))) == ()


def test_the_same_charge() -> None:
    wrong = trial(PAIRS + "kept = t[q1 * q2 < 0]\n" + WRITE, "Same-sign pairs.", inputs=("data.parquet",))
    assert told(found(wrong)) == error("script.charge_sign")


# --- bounds ---------------------------------------------------------------------------------------------------------

READ = "t = pd.read_parquet(snakemake.input[0])\niso, pt = t['iso'].to_numpy(), t['pt'].to_numpy()\n"
BOUNDS = "Isolation / pT < params.max_isolation, and pT of the leading one > params.min_pt[0]."
PARAMS = {"max_isolation": 0.065, "min_pt": [40, 30], "threshold": 3}


def bounds(source: str, text: str = BOUNDS) -> set[tuple[str, str]]:
    return told(found(trial(READ + source + WRITE, text, inputs=("data.parquet",), params=PARAMS)))


@pytest.mark.parametrize(
    "source",
    [
        "limit = float(snakemake.params.max_isolation)\nkept = t[iso / pt > limit]\n",
        "kept = t[iso / pt >= snakemake.params.max_isolation]\n",
        "kept = t[snakemake.params['max_isolation'] < iso / pt]\n",
        "most = snakemake.params.max_isolation\nkept = t[~(iso / pt < most)]\n",
        "lead, sub = (float(x) for x in snakemake.params.min_pt)\nkept = t[(pt < lead) & (t['eta'] < 2)]\n",
        "kept = t[pt < snakemake.params.min_pt[0]]\n",
        "kept = []\nfor row in t.itertuples():\n    if row.pt > snakemake.params.min_pt[0]:\n        continue\n"
        "    kept.append(row)\n",
        "most = snakemake.params.max_isolation\nsteps = [('all', pt > 0), ('isolation', iso / pt > most)]\n"
        "passed = np.ones(9, bool)\nfor name, cut in steps:\n    passed &= cut\nkept = t[passed]\n",
    ],
)
def test_bounds_the_wrong_way_round(source: str) -> None:
    assert bounds(source) == error("script.bound_reversed")


@pytest.mark.parametrize(
    "source",
    [
        "MAX_ETA = 2.37\nkept = t[abs(t['eta']) > MAX_ETA]\n",
        "MIN_SCORE = 0.8\nkept = t[(t['score'] < MIN_SCORE) & (pt > 3)]\n",
    ],
)
def test_bounds_against_their_names_alone(source: str) -> None:
    assert bounds(source, "Select photons.") == warning("script.bound_reversed")


@pytest.mark.parametrize(
    "source",
    [
        "limit = float(snakemake.params.max_isolation)\nkept = t[iso / pt < limit]\n",
        "most = snakemake.params.max_isolation\nbad = iso / pt > most\nkept = t[~bad]\n",
        "kept = []\nfor row in t.itertuples():\n    if row.pt < snakemake.params.min_pt[0]:\n        continue\n"
        "    kept.append(row)\n",
        "lead, sub = snakemake.params.min_pt\nkept = t[(pt > lead) & (iso > 0)]\n",
        "most = snakemake.params.max_isolation\nkept, failed = t[iso / pt < most], t[iso / pt > most]\n",
        "MAX_ISO = 0.065\nt.loc[t['iso'] > MAX_ISO, 'iso'] = MAX_ISO\nkept = t\n",
        "MAX_ISO = 0.065\niso[iso > MAX_ISO] = MAX_ISO\nkept = iso\n",
        "CRACK_MAX, MAX_CRACK, MIN_CRACK = 1.5, 1.52, 1.37\n"
        "kept = t[(t['eta'] < MIN_CRACK) | (t['eta'] > MAX_CRACK)]\n",
        "MAX_ISO = 0.065\nprint((iso > MAX_ISO).sum(), 'removed')\nkept = t[iso < MAX_ISO]\n",
        "MAX_ISO = 0.065\nkept = np.where(iso > MAX_ISO, np.nan, iso)\n",
        "most = 0\nfor x in iso:\n    if x > most:\n        most = x\nkept = [most]\n",
        "MAX_N = 10\nkept = []\nfor x in iso:\n    if x > MAX_N:\n        break\n    kept.append(x)\n",
        "threshold = snakemake.params.threshold\nkept = t[pt < threshold]\n",
    ],
)
def test_bounds_the_right_way_round(source: str) -> None:
    assert bounds(source, "Select photons.") == set()
    assert bounds(source) == set()


@pytest.mark.parametrize(
    "text",
    [
        "No jet with pT > params.min_pt.",
        "Reject events with pT above params.min_pt[0]. Photons in a control region.",
        "The control region has pT below what is asked.",
    ],
)
def test_sentences_that_want_the_other_side(text: str) -> None:
    assert bounds("kept = t[pt < snakemake.params.min_pt[0]]\n", text) == set()


# --- up and down ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "kept = {'pileup_up': t['weight_pileup_down'], 'pileup_down': t['weight_pileup_up']}\n",
        "kept = dict(scaleUp=t['w_scale_DOWN'] * pt, scaleDown=t['w_scale_UP'] * pt)\n",
        "kept = {}\nkept['jes_up'] = np.histogram(t.jes_down)[0]\nkept['jes_down'] = np.histogram(t.jes_up)[0]\n",
        "w_up = t['w_down']\nw_down = t['w_up']\nkept = w_up, w_down\n",
    ],
)
def test_up_and_down_exchanged(source: str) -> None:
    assert told(found(trial(READ + source + WRITE, inputs=("data.parquet",)))) == error("script.up_for_down")


@pytest.mark.parametrize(
    "source",
    [
        "kept = {'pileup_up': t['weight_pileup_up'], 'pileup_down': t['weight_pileup_down']}\n",
        "kept = {'pileup_up': t['weight_pileup_up'], 'pileup_down': 2 * t['weight'] - t['weight_pileup_up']}\n",
        "kept = {'w_up': pt / t['eff_down'], 'w_down': pt / t['eff_up']}\n",
        "kept = {'up': -t['shift_down'], 'down': -t['shift_up']}\n",
        "kept = {'width_up': t['x_up'] + t['x_down'], 'width_down': t['x_down'] + t['x_up']}\n",
        "kept = {'setup': t['backdown'], 'lookup': t['pileup']}\n",
        "kept = {'a_up': t['b_down'], 'c_down': t['d_up']}\n",
    ],
)
def test_up_and_down_as_they_are_called(source: str) -> None:
    assert found(trial(READ + source + WRITE, inputs=("data.parquet",))) == ()


# --- labels ---------------------------------------------------------------------------------------------------------


def drawn(source: str) -> set[tuple[str, str]]:
    start = "data, background, signal = (np.load(path)['h'] for path in snakemake.input)\nfig, ax = plt.subplots()\n"
    end = "ax.set_xlabel('m')\nax.set_ylabel('n')\nfig.savefig(snakemake.output[0])\n"
    candidate = trial(start + source + end, inputs=("a.npz", "b.npz", "c.npz"), outputs=("p.png",))
    slots = tuple(Slot(name=name, kind=Kind.FILE) for name in ("data", "background", "signal"))
    return told(found(replace(candidate, spec=replace(candidate.spec, inputs=slots))))


@pytest.mark.parametrize(
    "source",
    [
        "ax.stairs(signal, e, label='Background')\nax.stairs(background, e, label='Signal')\n",
        "ax.stairs(signal + background, e, label='Background')\nax.stairs(background, e, label='Signal (x 10)')\n",
        "ax.plot(x, signal.values(), label='background')\nax.errorbar(x, h['signal'], label='signal')\n",
    ],
)
def test_labels_of_another_sample(source: str) -> None:
    assert drawn(source) == error("script.label_exchanged")


@pytest.mark.parametrize(
    "source",
    [
        "ax.stairs(signal, e, label='Signal')\nax.stairs(background, e, label='Background')\n",
        "ax.stairs(background + signal, e, label='Signal')\nax.stairs(background, e, label='Background')\n",
        "ax.fill_between(x, background, total, label='Signal')\nax.stairs(background, e, label='Background')\n",
        "ax.bar(x, signal, bottom=background, label='Signal')\nax.bar(x, background, label='Background')\n",
        "ax.stairs(data, e, label='Background')\nax.errorbar(x, data, label='Data')\n",
        "ax.stairs(background, e, label='Signal region')\nax.stairs(background, e, label='Background')\n",
        "ax.stairs(background, e, label='Signal')\n",
    ],
)
def test_labels_that_may_be_right(source: str) -> None:
    assert drawn(source) == set()
