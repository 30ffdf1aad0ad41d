from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, holding, told, trial, warning

READ = "events = uproot.open(snakemake.input[0])['events'].arrays()\nmass = events['m_yy'].to_numpy()\n"
SAVE = "Path(snakemake.output[0]).write_text(json.dumps({'n': len(mass)}))\n"
ONE = ("fit.json",)


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    mass = np.load(snakemake.input[0])\nexcept FileNotFoundError:\n"
        "    mass = np.linspace(105, 160, 1000)\n",
        "try:\n    mass = uproot.open(snakemake.input[0])['t']['m'].array()\nexcept Exception as e:\n"
        "    print(e)\n    mass = np.array([121.2, 125.1, 124.9, 130.2])\n",
        "def load(path):\n    try:\n        return pd.read_parquet(path)['m'].to_numpy()\n    except Exception:\n"
        "        return np.linspace(100, 160, 200)\nmass = load(snakemake.input[0])\n",
        "import os\nif os.path.exists(snakemake.input[0]):\n    mass = np.load(snakemake.input[0])['m']\nelse:\n"
        "    mass = np.linspace(105, 160, 500)\n",
        "events = pd.read_parquet(snakemake.input[0])\nif 'm_yy' in events.columns:\n"
        "    mass = events['m_yy'].to_numpy()\n"
        "else:\n    mass = np.array([120.0, 125.0, 122.0])\n",
        "events = pd.read_parquet(snakemake.input[0])\nif len(events) == 0:\n"
        "    mass = np.array([120.0, 125.0, 122.0])\n"
        "else:\n    mass = events['m_yy'].to_numpy()\n",
        "def dummy():\n    return [121.0, 125.0, 124.0]\ntry:\n    mass = np.load(snakemake.input[0])\n"
        "except OSError:\n    mass = dummy()\n",
        "dummy_mass = np.linspace(105, 160, 100)\nmass = np.histogram(dummy_mass, 10)[0]\n" + READ,
        "synthetic_events = np.array([[120.0, 1.0, 2.0], [125.0, 1.0, 2.0]])\nmass = synthetic_events[:, 0]\n",
        "observed = np.array([23, 19, 31, 25, 18, 22])\nmass = observed\n",
        "counts = [812, 790, 745, 701, 688, 650]\nmass = counts\n",
        "data = np.linspace(105, 160, 1000)\nmass, edges = np.histogram(data, bins=55)\n",
    ],
)
def test_made_up_data(source: str) -> None:
    findings = found(trial(source + SAVE, outputs=ONE))
    assert ("script.invented_data", "error") in told(findings)
    assert {check for check, _ in told(findings)} == {"script.invented_data"}


def test_random_numbers_in_place_of_a_file_are_made_up_even_if_toys_are_asked_for() -> None:
    source = (
        "rng = np.random.default_rng(1)\ntry:\n    mass = np.load(snakemake.input[0])\n"
        "except OSError:\n    mass = rng.normal(125, 2, 1000)\n"
    )
    assert told(found(trial(source + SAVE, "fit toys", outputs=ONE))) == error("script.invented_data")


@pytest.mark.parametrize(
    "source",
    [
        "EDGES = np.linspace(105, 160, 56)\ncounts, _ = np.histogram(mass, bins=EDGES)\n",
        "counts, edges = np.histogram(mass, bins=np.linspace(105, 160, 56))\n",
        "BIN_EDGES = [105, 110, 115, 120, 130, 140, 160]\ncounts, _ = np.histogram(mass, BIN_EDGES)\n",
        "counts, edges = np.histogram(mass, bins=10)\ncentres = 0.5 * (edges[1:] + edges[:-1])\n"
        "again, _ = np.histogram(centres, bins=edges, weights=counts)\n",
        "centres = np.linspace(105.5, 159.5, 55)\nfilled, _ = np.histogram(centres, 55, weights=np.ones(55))\n",
        "x = np.linspace(105, 160, 500)\ncurve = np.exp(-0.02 * x) * len(mass)\nplt.plot(x, curve)\n",
        "scan = np.linspace(0, 5, 51)\nnll = [np.sum(np.exp(-mu * mass)) for mu in scan]\n",
        "mask = np.ones(len(mass), dtype=bool)\nmask &= mass > 100\nmass = mass[mask]\n",
        "padded = np.full(len(mass), np.nan)\npadded[mass > 0] = mass[mass > 0]\n",
        "y = np.concatenate([np.ones(len(mass)), np.zeros(len(mass))])\n",
        "events = np.array([1, 2, 3, 4, 5, 6])\nprint(events)\n",
        "QUANTILES = np.array([0.16, 0.5, 0.84])\nlow, mid, high = np.quantile(mass, QUANTILES)\n",
        "if len(mass) > 10:\n    edges = np.quantile(mass, [0, 0.5, 1])\nelse:\n"
        "    edges = np.linspace(105, 160, 11)\n",
        "if snakemake.params.get('edges'):\n    mass = mass + 0\nelse:\n    mass = mass * 1\n",
        "dummy, = plt.plot([], [])\n",
        "if len(mass):\n    low, mid, high = np.quantile(mass, [0.1, 0.5, 0.9])\nelse:\n    low, mid, high = 0, 0, 0\n",
        "if snakemake.params.get('cuts'):\n    cuts = list(snakemake.params.cuts)\nelse:\n    cuts = [25, 30, 35]\n",
        "if len(mass) == 0:\n    raise ValueError('no events')\nelse:\n    mass = mass * 1.0\n",
        "counts = np.zeros(5)\nfor k in range(5):\n    counts[k] = np.sum(mass > k)\n",
    ],
)
def test_grids_and_constants_are_no_data(source: str) -> None:
    assert found(trial(READ + source + SAVE, outputs=ONE)) == ()


def test_data_that_the_rule_states_may_stand_in_the_script() -> None:
    source = "observed = np.array([23, 19, 31, 25, 18, 22])\nmass = observed\n"
    text = "fit the counts 23, 19, 31, 25, 18 and 22 with the templates"
    assert found(trial(source + SAVE, text, outputs=ONE)) == ()


# --- weights --------------------------------------------------------------------------------------------------------

WEIGHTED = "fit the mass, events have weights"


@pytest.mark.parametrize(
    "source",
    [
        "weights = np.ones_like(mass)\nh, _ = np.histogram(mass, weights=weights)\n",
        "weights = np.ones(len(mass))\nh, _ = np.histogram(mass, weights=weights)\n",
        "event_weights = np.full(len(mass), 1.0)\nh, _ = np.histogram(mass, weights=event_weights)\n",
        "weight = 1.0\ntotal = np.sum(weight * mass)\n",
        "w = np.ones(len(mass))\nh, _ = np.histogram(mass, weights=w)\n",
        "w_sig = np.ones_like(mass, dtype=float)\nh, _ = np.histogram(mass, weights=w_sig)\n",
        "mc_weights = np.zeros(len(mass))\nh, _ = np.histogram(mass, weights=mc_weights)\n",
        "h, _ = np.histogram(mass, weights=np.ones_like(mass))\n",
        "frame = pd.DataFrame({'m': mass})\nframe['weight'] = 1.0\nh, _ = np.histogram(frame['m'])\n",
        "weights = ak.ones_like(events['m_yy'])\nh, _ = np.histogram(mass, weights=weights)\n",
        "weight = events['weight'].to_numpy()\nweight = np.ones_like(weight)\n"
        "h, _ = np.histogram(mass, weights=weight)\n",
    ],
)
def test_weights_set_to_one(source: str) -> None:
    assert told(found(trial(READ + source + SAVE, WEIGHTED, outputs=ONE))) == error("script.weights_ones")
    with_file = found(trial(READ + source + SAVE, outputs=ONE), holding("m_yy", "weight"))
    assert told(with_file) == error("script.weights_ones")
    assert found(trial(READ + source + SAVE, outputs=ONE), holding("m_yy", "mass", form="csv")) == ()


@pytest.mark.parametrize(
    "source",
    [
        "w = events['weight'].to_numpy()\ntable = {'m': mass, 'weight': np.ones(len(mass))}\nprint(table, w)\n",
        "w = events['weight'].to_numpy()\nevents['weight'] = np.ones(len(mass))\nprint(w)\n",
    ],
)
def test_a_column_of_ones_beside_weights_that_are_read_is_told(source: str) -> None:
    candidate = trial(READ + source + SAVE, WEIGHTED, outputs=ONE)
    assert found(candidate) == ()
    assert told(found(candidate, holding("m_yy", "weight"))) == warning("script.weights_ones")


def test_only_the_file_tells_of_what_is_called_data() -> None:
    source = (
        "data = events['m_yy'].to_numpy()\nweights = np.ones(len(data))\nh, _ = np.histogram(mass, weights=weights)\n"
    )
    candidate = trial(READ + source + SAVE, WEIGHTED, outputs=ONE)
    assert found(candidate) == ()
    assert told(found(candidate, holding("m_yy", "mcWeight"))) == error("script.weights_ones")


@pytest.mark.parametrize(
    "source",
    [
        "weights = events['weight'].to_numpy()\nh, _ = np.histogram(mass, weights=weights)\n",
        "w_data = np.ones(len(mass))\nh, _ = np.histogram(mass, weights=w_data)\n",
        "weights = np.ones(len(mass))\nweights *= events['mcWeight'].to_numpy()\n"
        "h, _ = np.histogram(mass, weights=weights)\n",
        "weights = np.ones(len(mass))\nweights[mass > 0] = mass[mass > 0]\n",
        "weight = 1.0\nfor name in ('mcWeight', 'xsec'):\n    weight = weight * events[name].to_numpy()\n",
        "signal_weight = events['weight'].to_numpy()\nweight = np.ones(3)\nprint(weight, signal_weight)\n",
        "sample_weight = np.concatenate([events['weight'].to_numpy(), np.ones(4)])\n",
        "h, _ = np.histogram(mass, weights=np.full(len(mass), 1 / len(mass)))\n",
        "plt.hist(mass, weights=np.ones_like(mass) / len(mass))\n",
        "passes = np.ones(len(mass), dtype=bool)\n",
        "nodes, quad_weights = np.polynomial.legendre.leggauss(8)\n",
        "class_weight = 1.0\n",
        "weight_tolerance = 1e-3\n",
        "linewidth = 1.0\n",
    ],
)
def test_weights_that_are_right(source: str) -> None:
    candidate = trial(READ + source + SAVE, WEIGHTED, outputs=ONE)
    assert found(candidate) == ()
    names = holding("m_yy", "weight", "mcWeight", "xsec")
    assert found(candidate, names) == ()


@pytest.mark.parametrize(
    "text",
    ["fit the mass", "fit the mass without weights", "count events, ignore the weights", "fit the unweighted mass",
     "all weights are one"],
)  # fmt: skip
def test_rules_without_weights(text: str) -> None:
    source = "weights = np.ones_like(mass)\nh, _ = np.histogram(mass, weights=weights)\n"
    assert found(trial(READ + source + SAVE, text, outputs=ONE)) == ()


# --- results --------------------------------------------------------------------------------------------------------


def saved(document: str, before: str = "") -> str:
    return f"{READ}{before}result = {document}\nwith open(snakemake.output[0], 'w') as f:\n    json.dump(result, f)\n"


@pytest.mark.parametrize(
    "source",
    [
        saved("{'n_events': len(mass), 'chi2': 23.4}"),
        saved("{'n_events': len(mass), 'parameters': {'mu': {'value': 1.23, 'error': 0.21}}}"),
        saved("{'n_events': len(mass), 'significance': -2.5}"),
        saved("{'n_events': len(mass), 'z_obs': z}", "z = 2.85\n"),
        saved("dict(n_events=len(mass), p0=0.0023)"),
        saved("{'n': len(mass)}").replace("with open", "result['yield'] = 357.2\nwith open"),
        saved("{'n': len(mass), 'fits': []}").replace("with open", "result['fits'].append({'chi2': 12.5})\nwith open"),
        saved("{'n': len(mass), 'gof': {}}").replace("with open", "result['gof']['p'] = 0.43\nwith open"),
        saved("{'n': len(mass), **fit()}", "def fit():\n    return {'mu': 1.07, 'mu_error': 0.3}\n"),
        saved("[{'cut': 'all', 'events': 5012}, {'cut': 'last', 'events': len(mass)}]"),
        READ + "Path(snakemake.output[0]).write_text(json.dumps({'n': len(mass), 'auc': 0.91}))\n",
        "N_SIG = 350.0\n" + saved("{'n': len(mass), 'n_sig': N_SIG}").replace("with", "print(f'{N_SIG}')\nwith"),
        saved("{'mu': 1.0, 'mu_error': 0.5}") + "print(mass)\n",
        saved("{'n': len(mass), 'chi2': chi2_value}", "try:\n    chi2_value = float(np.sum(mass))\n"
              "except ValueError:\n    chi2_value = 30.1\n"),
    ],
)  # fmt: skip
def test_results_that_were_written_down(source: str) -> None:
    assert ("script.literal_result", "error") in told(found(trial(source, outputs=ONE)))


@pytest.mark.parametrize(
    "source",
    [
        saved("{'n_events': len(mass), 'chi2': float(np.sum(mass))}"),
        saved("{'n_events': len(mass), 'cl': 0.95, 'fit_range': [105, 160], 'unit': 'GeV', 'valid': True}"),
        saved("{'n': len(mass), 'fixed_parameters': {'sigma': {'value': 1.7, 'error': None}}}"),
        saved("{'n': len(mass), 'start': {'mu': {'value': 1.2, 'error': 0.1}}}"),
        saved("{'n': len(mass), 'config': {'value': 3.5}}"),
        saved("{'n': len(mass), 'signal_mass': {'value': 125.0, 'comment': 'as generated'}}"),
        saved("{'n': len(mass), 'energy_scale': {'error': 0.01}}"),
        saved("{'n': len(mass), 'vertex': {'x': 1.5, 'y': 2.5, 'z': 3.5}}"),
        saved("{'n': len(mass), 'p0': 0.5 if mass.sum() < 0 else float(norm.sf(mass.sum()))}"),
        saved("{'n': len(mass), 'yield': 0.0, 'error': 0, 'events': 0}"),
        saved("{'n': len(mass)}").replace(
            "with open", "if mass.sum() < 0:\n    result['p0'] = 0.5\nelse:\n"
            "    result['p0'] = float(mass.sum())\nwith open"
        ),
        saved("{'n': len(mass), 'mu': MU * float(mass.sum())}", "MU = 1.3\n"),
        saved("{'n': len(mass), 'mu': MU_TRUE}", "MU_TRUE = 1.3\nmass = mass * MU_TRUE\n"),
        saved("{'n': len(mass), 'reference': {'value': 125.25, 'error': 0.17}}"),
        saved("{'n': len(mass), 'bins': [{'low': 105.0, 'high': 110.0, 'yield': float(mass.sum())}]}"),
        saved("{'n': len(mass), 'lumi': 36.1, 'efficiency_of_trigger': 0.98}"),
        saved("{'n': len(mass), 'accuracy': None}"),
        saved("{'n': len(mass), 'z': z}", "z = 0.0\nfor m in mass:\n    z = z + m\n"),
        "start = {'mu': 1.25, 'value': 3.5, 'error': 0.2}\n"
        "" + READ + "print(minimize(len, list(start.values())).success)\n"
        + SAVE,
    ],
)  # fmt: skip
def test_numbers_that_are_no_results(source: str) -> None:
    assert found(trial(source, outputs=ONE)) == ()


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (saved("{'n': len(mass), 'observed': n, 'z_obs': (n - mass.sum()) / 2}", "n = 29\n"), "warning"),
        (saved("{'z_obs': b * mass.sum(), 'background': b}", "b = 1163.0\n"), "warning"),
        (saved("{'n': len(mass), 'observed': N, 'z_obs': (N - mass.sum()) / 2}", "N = 29\n"), None),
        (saved("{'line': {'signal': 2, 'background': 3}, 'n': len(mass)}"), None),
        (
            saved("{'p': {k: {'value': 125.09 if k == 'mean' else mass[0], 'error': mass[1]} for k in ('a', 'b')}}"),
            "error",
        ),
    ],
)
def test_numbers_in_the_middle_of_a_computation_are_told(source: str, wanted: str | None) -> None:
    findings = told(found(trial(source, outputs=ONE)))
    assert findings == (set() if wanted is None else {("script.literal_result", wanted)})


def test_numbers_that_the_rule_or_a_decision_gives() -> None:
    source = saved("{'n': len(mass), 'n_events': 1024, 'mu': 0.05}")
    assert found(trial(source, "the file has 1,024 events; report mu as 5 per cent", outputs=ONE)) == ()
    assert found(trial(source, params={"n": 1024, "mu": 0.05}, outputs=ONE)) == ()
    decisions = [{"name": "numbers", "value": [1024, 0.05]}]
    assert found(trial(source, decisions=decisions, outputs=ONE)) == ()
    assert told(found(trial(source, outputs=ONE))) == error("script.literal_result")


# --- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "data = pd.read_parquet(snakemake.input.data)\n",
        "with open(snakemake.input.data) as file:\n    data = json.load(file)\n",
        "data = json.loads(Path(snakemake.input.data).read_text())\n",
        "data = uproot.open(snakemake.input.data)['events'].arrays()\n",
        "def read(path):\n    return np.load(path)\ndata = read(snakemake.input.data)\n",
        "data = Path(snakemake.input.data).read_text()\n",
        "data = pd.read_csv(snakemake.input['data'])\n",
    ],
)
def test_an_input_read_for_nothing(source: str) -> None:
    rest = "mass = np.load(snakemake.input.signal)['m']\n" + SAVE
    findings = found(trial(source + rest, outputs=ONE))
    opened = "with open" in source  # what is opened there is the handle
    positional = "['data']" in source
    wanted = set() if opened else warning("script.unused_input") if positional else error("script.unused_input")
    assert told(findings) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "_ = Path(snakemake.input.done).read_text()\nmass = np.load(snakemake.input.data)\n",
        "mass = np.load(snakemake.input.data)\n",
        "def work():\n    return data\ndata = np.load(snakemake.input.data)\nmass = work()\n",
        "unused = 3\nmass = np.load(snakemake.input.data)\n",
        "n_files = len(snakemake.input)\nmass = np.load(snakemake.input.data)\n",
        "done = snakemake.input.done\nmass = np.load(snakemake.input.data)\n",
    ],
)
def test_inputs_that_are_used(source: str) -> None:
    assert found(trial(source + SAVE, outputs=ONE)) == ()


def test_an_input_read_twice_and_once_for_nothing_is_told() -> None:
    source = "first = np.load(snakemake.input.data)\nmass = np.load(snakemake.input.data)\n"
    assert told(found(trial(source + SAVE, outputs=ONE))) == warning("script.unused_input")
