from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

SAVE = "Path(snakemake.output[0]).write_text(json.dumps({'n': len(mass)}))\n"
READ = "mass = uproot.open(snakemake.input[0])['events']['m_yy'].array(library='np')\n"

UNASKED = [
    "rng = np.random.default_rng(1)\nmass = rng.normal(125, 2, 1000)\n",
    "np.random.seed(42)\nmass = np.random.exponential(30, size=500)\n",
    "np.random.seed(42)\nmass = 105 + 55 * np.random.rand(1000)\n",
    "random.seed(1)\nmass = [random.gauss(125, 2) for _ in range(100)]\n",
    "random.seed(1)\nmass = []\nfor _ in range(100):\n    mass.append(random.uniform(105, 160))\n",
    "mass = norm.rvs(125, 2, size=1000, random_state=3)\n",
    "from numpy.random import default_rng as make\nmass = make(5).uniform(105, 160, 100)\n",
    "import torch\ntorch.manual_seed(0)\nmass = torch.randn(100)\n",
    READ + "rng = np.random.default_rng(1)\nmass = mass + rng.normal(0, 1.5, len(mass))\n",
    READ + "rng = np.random.default_rng(seed=1)\nweight = rng.uniform(size=len(mass))\nmass = mass * weight\n",
    "def load(path, rng):\n    return rng.normal(125, 2, 100)\n"
    "mass = load(snakemake.input[0], np.random.default_rng(1))\n",
    "class Reader:\n    def __init__(self):\n        self.rng = np.random.default_rng(1)\n"
    "    def read(self):\n        return self.rng.normal(125, 2, 100)\nmass = Reader().read()\n",
]


@pytest.mark.parametrize("source", UNASKED)
def test_random_numbers_that_nobody_asked_for(source: str) -> None:
    assert told(found(trial(source + SAVE))) >= error("script.random")


@pytest.mark.parametrize("source", UNASKED)
@pytest.mark.parametrize(
    ("text", "context", "params"),
    [
        ("smear the energies by 1 per cent with a fixed seed", "", {}),
        ("throw 1000 toys from the fit", "", {}),
        ("fit the mass", "The uncertainty comes from 200 bootstrap samples.", {}),
        ("fit the mass", "", {"seed": 3}),
        ("draw 1000 events from the template", "", {}),
        ("generate pseudo-data from the template", "", {}),
    ],
)
def test_random_numbers_that_were_asked_for(source: str, text: str, context: str, params: dict[str, object]) -> None:
    findings = found(trial(source + SAVE, text, context=context, params=params))
    assert "script.random" not in {finding.check for finding in findings}


@pytest.mark.parametrize("text", ["train a classifier", "split the events into categories", "use a neural network"])
@pytest.mark.parametrize("source", UNASKED)
def test_learning_takes_random_numbers_but_none_for_data(source: str, text: str) -> None:
    assert ("script.random", "error") not in told(found(trial(source + SAVE, text)))
    assert ("script.random", "warning") in told(found(trial(source + SAVE, text)))


def test_a_message_says_where_and_what_to_do() -> None:
    (finding,) = found(trial(UNASKED[0] + SAVE))
    assert "Line 15, `mass = rng.normal(125, 2, 1000)`" in finding.message
    assert "let the script fail" in finding.message


@pytest.mark.parametrize(
    "words",
    [
        "fit the simulated signal samples",
        "generator-level mass",
        "Monte Carlo samples of three processes",
        "generate a histogram of the mass",
        "draw 3 panels",
        "simulated data",
        "pseudorapidity of the leading photon",
        "statistical fluctuations",
    ],
)
def test_words_of_physics_do_not_ask_for_random_numbers(words: str) -> None:
    findings = found(trial(UNASKED[0] + SAVE, words))
    assert told(findings) == error("script.random")


def test_a_listed_method_warns() -> None:
    decisions = [{"name": "N_RESTARTS", "value": 5, "reason": "random start values of the fit"}]
    assert ("script.random", "warning") in told(found(trial(UNASKED[0] + SAVE, decisions=decisions)))
    only_a_seed = [{"name": "SEED", "value": "1", "reason": "reproducible"}]
    assert told(found(trial(UNASKED[0] + SAVE, decisions=only_a_seed))) == error("script.random")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("toys = rng.poisson(np.histogram(mass)[0])\nmass = toys\n", warning("script.random")),
        ("band = rng.multivariate_normal(mass[:2], np.diag(mass[:2]), 100)\nmass = band\n", warning("script.random")),
        ("for k in range(3):\n    scale = rng.uniform(0.7, 1.3)\n    mass = mass * scale\n", warning("script.random")),
        ("mass = rng.normal(mass, 0.01 * mass)\n", error("script.random")),
        ("data = rng.poisson(np.histogram(mass)[0])\nmass = data\n", error("script.random")),
        ("n_obs = rng.poisson(len(mass) + mass.sum())\nmass = [n_obs]\n", error("script.random")),
    ],
)
def test_random_numbers_around_the_inputs(source: str, wanted: set[tuple[str, str]]) -> None:
    """What takes the place of data is no method; everything else may be one, and is told."""
    made = READ + "rng = np.random.default_rng(1)\n" + source + SAVE
    assert told(found(trial(made))) == wanted
    assert found(trial(made, "throw toys")) == ()


@pytest.mark.parametrize(
    "source",
    [
        "rng = np.random.default_rng(1)\norder = rng.permutation(len(mass))\nmass = mass[order]\n",
        "rng = np.random.default_rng(1)\nrng.shuffle(mass)\n",
        "rng = np.random.default_rng(1)\nmass = rng.choice(mass, size=len(mass))\n",
        "rng = np.random.default_rng(1)\npick = rng.integers(0, len(mass), len(mass))\nmass = mass[pick]\n",
        "from sklearn.model_selection import train_test_split\n"
        "train, test = train_test_split(mass, test_size=0.5, random_state=42)\n",
        "from sklearn.model_selection import train_test_split\ntrain, test = train_test_split(mass, shuffle=False)\n",
        "from sklearn.model_selection import KFold\nfolds = KFold(5, shuffle=True, random_state=1)\n",
        "from sklearn.model_selection import KFold\nfolds = KFold(5)\n",
        "from sklearn.ensemble import RandomForestClassifier\nforest = RandomForestClassifier(random_state=1)\n",
        "import xgboost as xgb\nmodel = xgb.XGBClassifier(max_depth=3, random_state=1, n_jobs=snakemake.threads)\n",
        "rng = np.random.default_rng(1)\njitter = rng.normal(0, 0.1, len(mass))\n"
        "fig, ax = plt.subplots()\nax.scatter(mass, jitter)\nax.set_xlabel('m')\nax.set_ylabel('y')\n",
        "rng = np.random.default_rng(1)\nplt.plot(mass, rng.uniform(size=len(mass)))\n",
        "rng = np.random.default_rng(1)\nfit = minimize(lambda p: p.sum(), rng.normal(0, 1, 3))\nassert fit.success\n",
        "np.random.seed(3)\nnp.random.shuffle(mass)\n",
        "frame = pd.DataFrame({'m': mass})\nframe = frame.sample(frac=1, random_state=7)\n",
        "normal = norm(125, 2)\nlog = normal.logpdf(mass)\n",
        "class Model:\n    def normal(self, a, b, n):\n        return a\nmodel = Model()\n"
        "value = model.normal(1, 2, 3)\n",
        "samples = [part for part in mass]\nsample = samples[0]\n",
    ],
)
def test_right_uses_pass(source: str) -> None:
    assert found(trial(READ + source + SAVE, outputs=("fit.json",))) == ()


@pytest.mark.parametrize(
    "source",
    [
        "rng = np.random.default_rng()\nrng.shuffle(mass)\n",
        "rng = np.random.default_rng(None)\nrng.shuffle(mass)\n",
        "rng = np.random.RandomState()\nrng.shuffle(mass)\n",
        "rng = np.random.Generator(np.random.PCG64())\nrng.shuffle(mass)\n",
        "import time\nrng = np.random.default_rng(int(time.time()))\nrng.shuffle(mass)\n",
        "import os\nSEED = os.getpid()\nrng = np.random.default_rng(SEED)\nrng.shuffle(mass)\n",
        "from datetime import datetime\nrng = np.random.default_rng(datetime.now().microsecond)\nrng.shuffle(mass)\n",
        "rng = np.random.default_rng(hash(snakemake.wildcards.sample))\nrng.shuffle(mass)\n",
        "np.random.shuffle(mass)\n",
        "import time\nnp.random.seed(int(time.time()))\nnp.random.shuffle(mass)\n",
        "np.random.seed()\nnp.random.shuffle(mass)\n",
        "random.shuffle(mass)\n",
        "rng = random.SystemRandom()\nrng.shuffle(mass)\n",
        "mass = norm.rvs(mass, 1)\n",
        "from sklearn.model_selection import train_test_split\ntrain, test = train_test_split(mass, test_size=0.5)\n",
        "from sklearn.model_selection import StratifiedKFold\nfolds = StratifiedKFold(5, shuffle=True)\n",
        "from sklearn.ensemble import RandomForestClassifier\nforest = RandomForestClassifier(n_estimators=10)\n",
        "from scipy.optimize import differential_evolution\nfit = differential_evolution(len, [(0, 1)])\nfit.success\n",
        "frame = pd.DataFrame({'m': mass}).sample(frac=0.5)\n",
        "import torch\nfrom torch import nn\nnet = nn.Sequential(nn.Linear(3, 4), nn.ReLU())\n",
        "from tensorflow.keras.layers import Dense\nlayer = Dense(3)\n",
    ],
)
def test_nothing_random_without_a_seed(source: str) -> None:
    findings = found(trial(READ + source + SAVE, "train a classifier, shuffle first", outputs=("fit.json",)))
    assert told(findings) == error("script.random")
    assert "fixed seed" in findings[0].message


@pytest.mark.parametrize(
    "source",
    [
        "rng = np.random.default_rng(int(snakemake.params.seed))\nrng.shuffle(mass)\n",
        "SEED = 20 + 3\nrng = np.random.default_rng(SEED)\nrng.shuffle(mass)\n",
        "rng = np.random.Generator(np.random.PCG64(1))\nrng.shuffle(mass)\n",
        "rng = np.random.default_rng([1, len(mass)])\nrng.shuffle(mass)\n",
        "import time\nstart = time.time()\nrng = np.random.default_rng(1)\nrng.shuffle(mass)\n"
        "print(time.time() - start)\n",
        "random.seed(1)\nrandom.shuffle(mass)\n",
        "import torch\nfrom torch import nn\ntorch.manual_seed(1)\nnet = nn.Sequential(nn.Linear(3, 4), nn.ReLU())\n",
        "import tensorflow as tf\nfrom tensorflow.keras.layers import Dense\n"
        "tf.keras.utils.set_random_seed(1)\nlayer = Dense(3)\n",
        "np.random.seed(1)\nframe = pd.DataFrame({'m': mass}).sample(frac=0.5)\n",
        "name = f'/tmp/{random.randrange(10**6)}'\nprint(name)\n",
        "options = {'random_state': 1}\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "forest = RandomForestClassifier(**options)\n",
    ],
)
def test_what_is_seeded_passes(source: str) -> None:
    assert found(trial(READ + source + SAVE, "train a classifier, shuffle first", outputs=("fit.json",))) == ()


def test_a_rule_without_inputs_may_simulate() -> None:
    assert found(trial(UNASKED[0] + SAVE, "make events", inputs=())) == ()
