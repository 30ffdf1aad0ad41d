from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, told, trial, unused, warning

TEXT = "Fill m_yy with the weights; the isolation is etcone20 / pt < params.max_isolation. Sidebands: 110 to 120 GeV."
PARAMS = {"max_isolation": 0.065}
SAVE = "np.savez(snakemake.output[0], h=h)\nm = snakemake.params.max_isolation\nnp.savez(snakemake.output[1], m=m)\n"


def columns(source: str, text: str = TEXT) -> set[tuple[str, str]]:
    """What is told of a script that reads columns and writes `h`."""
    return told(unused(trial(source + SAVE, text, inputs=("data.parquet",), params=PARAMS)))


READS = [
    # from a list of names, by what it is looked up in
    "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\nh, _ = np.histogram(t['m_yy'])\n",
    "NAMES = ['m_yy', 'weight']\nt = pd.read_parquet(snakemake.input[0], columns=NAMES)\nh = t.m_yy.to_numpy()\n",
    "NAMES = ('m_yy', 'weight')\ntree = uproot.open(snakemake.input[0])['events']\n"
    "missing = [n for n in NAMES if n not in tree]\nif missing:\n    raise KeyError(f'no {missing}')\n"
    "h = tree.arrays(NAMES, library='np')['m_yy']\n",
    # copied under their own names
    "NAMES = ['m_yy', 'weight']\nwith np.load(snakemake.input[0]) as f:\n"
    "    a = {n: f[n].astype(float) for n in NAMES}\n"
    "if any(len(v) != len(a['m_yy']) for v in a.values()):\n    raise ValueError('lengths')\nh = a['m_yy']\n",
    "NAMES = ['m_yy', 'weight']\na = {}\nf = np.load(snakemake.input[0])\nfor name in NAMES:\n    a[name] = f[name]\n"
    "h = a['m_yy']\n",
    # in pieces, through functions and masks
    "NAMES = ['m_yy', 'weight']\ndef select(a):\n    good = a['m_yy'] > 100\n    a, good = a[good], good[good]\n"
    "    return {'m': a['m_yy']}\ntree = uproot.open(snakemake.input[0])['events']\n"
    "h = [select(piece)['m'] for piece in tree.iterate(NAMES)]\n",
    "def read(path):\n    t = pd.read_parquet(path, columns=['m_yy', 'weight'])\n    return t['m_yy'], t['weight']\n"
    "h, w = read(snakemake.input[0])\n",
    # into a variable that nobody reads, or that is overwritten where it counts
    "tree = uproot.open(snakemake.input[0])['events']\nw = tree['weight'].array()\nh = tree['m_yy'].array()\n",
    "t = pd.read_parquet(snakemake.input[0])\nw = t['weight'] * 2\ntotal = w.sum()\nh = {'weight': t['m_yy']}\n",
    # printed, logged, or asked about only
    "t = pd.read_parquet(snakemake.input[0])\nprint('sum', t['weight'].sum())\nh = t['m_yy'].to_numpy()\n",
    "import logging\nlog = logging.getLogger()\nt = pd.read_parquet(snakemake.input[0])\n"
    "log.info('%g', t['weight'].sum())\n"
    "h = t['m_yy']\n",
    "t = pd.read_parquet(snakemake.input[0])\ntotal = t['weight'].sum()\nif total <= 0:\n    raise ValueError(total)\n"
    "h = t['m_yy']\n",
    "def need(ok, text):\n    if not ok:\n        raise ValueError(text)\nt = pd.read_parquet(snakemake.input[0])\n"
    "need(t['weight'].sum() > 0, 'weights')\nh = t['m_yy']\n",
    # names that are the same and mean others
    "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\ndef fill(m, weight):\n"
    "    return np.histogram(m, weights=weight)\nweight = t['weight']\nh = fill(t['m_yy'], None)\n",
]  # fmt: skip


@pytest.mark.parametrize("source", READS)
def test_weights_that_reach_no_output(source: str) -> None:
    assert columns(source) == error("script.unused_column")


@pytest.mark.parametrize(
    "source",
    [
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'n_jets'])\nh = t['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'event_number'])\nh = t['m_yy']\n",
    ],
)
def test_columns_that_the_rule_does_not_speak_of(source: str) -> None:
    assert columns(source, TEXT + " One row has an event_number.") == warning("script.unused_column")


def test_a_column_that_the_rule_names_by_its_words() -> None:
    source = "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'etcone20'])\nh = t['m_yy'].to_numpy()\n" + SAVE
    (finding,) = unused(trial(source, TEXT, inputs=("data.parquet",), params=PARAMS))
    assert finding.severity == "error"
    assert "the column `etcone20` is read, and is never used" in finding.message


@pytest.mark.parametrize(
    "source",
    [
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\n"
        "h, _ = np.histogram(t['m_yy'], weights=t['weight'])\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\nh = t.to_dict()\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\nh = t.query('weight > 0')['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\nh = t.eval('m_yy * weight')\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\n"
        "h = t['m_yy'], [t[c] for c in t.columns]\n",
        "t = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\nh = t['m_yy'] * getattr(t, 'weight')\n",
        "import pyarrow.parquet as pq\nt = pq.read_table(snakemake.input[0], columns=['m_yy', 'weight'])\n"
        "pq.write_table(t, snakemake.output[0])\nh = t['m_yy']\n",
        "m, w = (pd.read_parquet(snakemake.input[0])[name] for name in ('m_yy', 'weight'))\n"
        "h = np.histogram(m, weights=w)\n",
        "t = pd.read_parquet(snakemake.input[0])\nh = t['m_yy'].to_numpy()\nfor name in ('weight', 'xsec'):\n"
        "    h = h * t[name].to_numpy()\n",
        "t = pd.read_parquet(snakemake.input[0])\nh = t['m_yy'].to_numpy()\nh *= t['weight']\n",
        "t = pd.read_parquet(snakemake.input[0])\nh = []\nfor m, w in zip(t['m_yy'], t['weight']):\n"
        "    if w > 0:\n        h.append(m)\n",
        "t = pd.read_parquet(snakemake.input[0])\nrows = {}\nparts = rows['a'] = []\nparts.append(t['weight'])\n"
        "h = rows, t['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0])\nout = np.zeros((2, 9))\nview = out[1]\nview[:] = t['weight']\n"
        "h = out + t['m_yy'].sum()\n",
        "t = pd.read_parquet(snakemake.input[0])\nclass Sums:\n    def __init__(self, w):\n        self.w = w\n"
        "s = Sums(t['weight'])\nh = s.w * t['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0])\nfig, ax = plt.subplots()\nax.hist(t['m_yy'], weights=t['weight'])\n"
        "fig.savefig(snakemake.output[0])\nh = t['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0])\nw = t['weight'].to_numpy()\ndef nll(mu):\n    return (w * mu).sum()\n"
        "fit = Minuit(nll, mu=1)\nh = t['m_yy'].sum() * fit.values['mu']\n",
        "def pieces(path):\n    for p in uproot.iterate(path, ['m_yy', 'weight']):\n"
        "        yield p['m_yy'], p['weight']\n"
        "h = np.zeros(5)\nfor m, w in pieces(snakemake.input[0]):\n    h += np.histogram(m, 5, weights=w)[0]\n",
        "a = np.load(snakemake.input[0])\nph = {q: a[f'{q}ght'] for q in ('wei',)}\nb = a['weight']\n"
        "h = ph, a['m_yy']\n",
        # weights of data are 1, and somebody makes sure of it
        "t = pd.read_parquet(snakemake.input[0])\nif not np.allclose(t['weight'], 1.0):\n"
        "    raise ValueError('weights')\n"
        "h = t['m_yy']\n",
        "t = pd.read_parquet(snakemake.input[0])\nassert np.isfinite(t['weight']).all()\nh = t['m_yy']\n",
        # used for one of two inputs
        "a = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weight'])\n"
        "b = pd.read_parquet(snakemake.input[1], columns=['m_yy', 'weight'])\nh = a['m_yy'], b['m_yy'], b['weight']\n",
        # nobody can see what is written
        "t = pd.read_parquet(snakemake.input[0])\nw = t['weight']\nh = []\n",
        "t = pd.read_parquet(snakemake.input[0])\nw = t['weight']\nh = t['m_yy'] * eval('w')\n",
    ],
)  # fmt: skip
def test_columns_that_are_used_or_may_be(source: str) -> None:
    assert columns(source) == set()


# --- params ---------------------------------------------------------------------------------------------------------


def params(source: str, text: str = TEXT) -> set[tuple[str, str]]:
    """What is told of a script that is given a param and copies its input."""
    copies = "Path(snakemake.output[0]).write_text(Path(snakemake.input[0]).read_text())\n"
    return told(unused(trial(source + copies, text, params=PARAMS)))


UNUSED_PARAMS = [
    "isolation = 0.065\nnp.savez(snakemake.output[1], i=isolation)\n",
    "most = float(snakemake.params.max_isolation)\n",
    "most = snakemake.params['max_isolation']\nprint(f'isolation below {most}')\n",
    "p = snakemake.params\nmost = p.max_isolation\nscale = [most * k for k in range(3)]\n",
    "other = snakemake.params.get('isolation', 0.06)\nnp.savez(snakemake.output[1], i=other)\n",
    "def read():\n    return float(snakemake.params.max_isolation), 2\nmost, two = read()\n"
    "np.savez(snakemake.output[1], i=two)\n",
]


@pytest.mark.parametrize("source", UNUSED_PARAMS)
def test_params_that_reach_no_output(source: str) -> None:
    assert params(source) == error("script.unused_param")
    assert params(source, "copy the file") == warning("script.unused_param")


@pytest.mark.parametrize(
    "source",
    [
        "json.dump([repr(value) for name, value in snakemake.params._allitems()], open(snakemake.output[0], 'w'))\n",
        "json.dump(snakemake.params.copy(), open(snakemake.output[0], 'w'))\n",
        "np.savez(snakemake.output[1], i=snakemake.params.max_isolation)\n",
        "np.savez(snakemake.output[1], **dict(snakemake.params))\n",
        "np.savez(snakemake.output[1], i=snakemake.params[0])\n",
        "def cuts(given):\n    return given.max_isolation\nnp.savez(snakemake.output[1], i=cuts(snakemake.params))\n",
        "def main(smk):\n    np.savez(smk.output[1], i=smk.params.max_isolation)\nmain(snakemake)\n",
        "p = snakemake.params\nt = pd.read_parquet(snakemake.input[0]).query('iso < @p.max_isolation')\n"
        "t.to_csv(snakemake.output[1])\n",
        "most = snakemake.params.max_isolation\nif len(snakemake.input) > most:\n    raise ValueError('too many')\n",
        "fig, ax = plt.subplots()\nax.set_title(str(snakemake.params['max_isolation']))\n"
        "fig.savefig(snakemake.output[1])\n",
        "a, b = snakemake.params\nnp.savez(snakemake.output[1], i=a)\n",
        "most = snakemake.params.max_isolation\nkeep = lambda x: x < most\n"
        "np.savez(snakemake.output[1], *filter(keep, [1]))\n",
        "values = getattr(snakemake.params, 'max_' + 'isolation')\nnp.savez(snakemake.output[1], i=values)\n",
    ],
)  # fmt: skip
def test_params_that_are_used_or_may_be(source: str) -> None:
    assert params(source) == set()


# --- constants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "SIDEBAND = (110.0, 120.0)\n",
        "SIDEBAND = (110.0, 120.0)\nn = sum(high - low for low, high in [SIDEBAND])\nprint(n)\n",
        "SIDEBANDS = [[110, 120]]\nwidth = SIDEBANDS[0][1] - SIDEBANDS[0][0]\n",
        "MAX_MASS = 120.0\n",
    ],
)
def test_a_range_of_the_rule_that_reaches_no_output(source: str) -> None:
    used = "np.savez(snakemake.output[1], i=snakemake.params.max_isolation)\n"
    assert params(source + used) == error("script.unused_constant")


@pytest.mark.parametrize(
    "source",
    [
        "N_BINS = 40\n",
        "SIDEBAND = (110.0, 120.0)\nnp.savez(snakemake.output[1], keep=[k for k in range(200) if 110 < k < 120])\n",
        "SIDEBAND = (110.0, 120.0)\nnp.savez(snakemake.output[1], keep=[k for k in range(10) if 110e3 < k])\n",
        "SIDEBAND = (110.0, 120.0)\nt = pd.read_parquet(snakemake.input[0]).query('m > 110')\nt.to_csv('x')\n",
        "ENERGY = 120.0\n",
    ],
)
def test_a_constant_that_is_never_used(source: str) -> None:
    used = "np.savez(snakemake.output[1], i=snakemake.params.max_isolation)\n"
    assert params(source + used) == warning("script.unused_constant")


@pytest.mark.parametrize(
    "source",
    [
        "SIDEBAND = (110.0, 120.0)\nlow, high = SIDEBAND\nnp.savez(snakemake.output[1], low)\n",
        "SIDEBAND = (110.0, 120.0)\nif snakemake.threads > SIDEBAND[0]:\n    raise ValueError('threads')\n",
        "TITLE = 'unused'\n",
        "LIMIT = 110.0\nt = pd.read_parquet(snakemake.input[0]).query('m > @LIMIT')\nt.to_csv(snakemake.output[1])\n",
        "class Cuts:\n    LOW = 110.0\n    HIGH = 120.0\nnp.savez(snakemake.output[1], Cuts.LOW)\n",
        "N_TOYS = 1000\nprint(N_TOYS)\n",
    ],
)
def test_constants_that_are_used_or_say_nothing(source: str) -> None:
    used = "np.savez(snakemake.output[1], i=snakemake.params.max_isolation)\n"
    assert params(source + used) == set()
