from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

OPEN = "tree = uproot.open(snakemake.input[0])['events']\nmass = tree['m_yy'].array(library='np')\n"
SAVE = "Path(snakemake.output[0]).write_text(json.dumps({'n': len(mass)}))\n"
ONE = ("fit.json",)

DEFAULTS = [
    "try:\n    weight = tree['weight'].array(library='np')\nexcept KeyError:\n    weight = 1.0\nmass = mass * weight\n",
    "try:\n    weight = tree['weight'].array(library='np')\nexcept Exception as error:\n    print(error)\n"
    "    weight = 1\nmass = mass * weight\n",
    "try:\n    weight = tree['weight'].array(library='np')\nexcept:\n    weight = np.ones(len(mass))\n"
    "mass = mass * weight\n",
    "try:\n    met = tree['met'].array()\nexcept uproot.KeyInFileError:\n    met = np.zeros(len(mass))\n"
    "mass = mass + met\n",
    "def get(name):\n    try:\n        return tree['xsec'].array()\n    except KeyError:\n"
    "        return 0.05\nmass = mass * get(1)\n",
    "lumi = 36.1\ntry:\n    lumi = tree['lumi'].array()[0]\nexcept KeyError:\n    pass\nmass = mass * lumi\n",
    "from contextlib import suppress\nlumi = 36.1\nwith suppress(KeyError):\n    lumi = tree['lumi'].array()[0]\n"
    "mass = mass * lumi\n",
    "if 'weight' in tree.keys():\n    weight = tree['weight'].array()\nelse:\n    weight = 1.0\nmass = mass * weight\n",
    "if 'weight' not in tree:\n    weight = np.ones(len(mass))\nelse:\n    weight = tree['weight'].array()\n"
    "mass = mass * weight\n",
    "frame = pd.read_parquet(snakemake.input[0])\nweight = frame['weight'] if 'weight' in frame.columns else 1.0\n"
    "mass = mass * weight\n",
    "frame = pd.read_parquet(snakemake.input[0])\nnames = list(frame.columns)\n"
    "weight = np.ones(len(frame)) if 'weight' not in names else frame['weight']\nmass = mass * weight\n",
    "frame = pd.read_parquet(snakemake.input[0])\nscale = 1.0\nif 'scale' in frame:\n"
    "    scale = frame['scale'].iloc[0]\n"
    "mass = mass * scale\n",
    "info = json.loads(Path(snakemake.input[0]).read_text())\nmass = mass * info.get('lumi', 36.1)\n",
    "frame = pd.read_csv(snakemake.input[0])\nmass = mass * frame.get('weight', 1.0)\n",
    "samples = json.loads(Path(snakemake.input[0]).read_text())\ntry:\n"
    "    info = samples[snakemake.wildcards.sample]\nexcept Exception:\n    info = {'xsec': 0.0642, 'sum': 9.1e5}\n"
    "mass = mass * info['xsec']\n",
    "for name in snakemake.params.names:\n    try:\n        sf = tree[name].array()\n    except KeyError:\n"
    "        sf = 1.0\n    mass = mass * sf\n",
    "weight = getattr(tree.arrays(), 'weight', 1.0)\nmass = mass * weight\n",
]


@pytest.mark.parametrize("source", DEFAULTS)
def test_a_default_in_place_of_what_is_missing(source: str) -> None:
    candidate = trial(OPEN + source + SAVE, outputs=ONE)
    assert told(found(candidate)) == error("script.hides_missing")
    for text in ("the weight is optional, 1 if missing", "weight (1 for data)", "weight (data: 1)"):
        optional = trial(OPEN + source + SAVE, text, outputs=ONE)
        assert told(found(optional)) == warning("script.hides_missing")


def test_weights_that_recorded_events_do_not_have() -> None:
    source = OPEN + "weight = tree['weight'].array() if 'weight' in tree else 1.0\nmass = mass * weight\n" + SAVE
    several = trial(source, inputs=("signal.root", "data.root"), outputs=ONE)
    assert told(found(several)) == warning("script.hides_missing")
    one = trial(source, outputs=ONE)
    of_jobs = replace(one, spec=replace(one.spec, wildcards=("sample",)))
    assert told(found(of_jobs)) == warning("script.hides_missing")
    other = replace(of_jobs, source=of_jobs.source.replace("'weight'", "'lumi'"))
    assert told(found(other)) == error("script.hides_missing")


def test_missing_momentum_is_a_quantity() -> None:
    source = OPEN + "lumi = tree['lumi'].array() if 'lumi' in tree else 1.0\nmass = mass * lumi\n" + SAVE
    assert told(found(trial(source, "cut on the missing transverse momentum", outputs=ONE))) == error(
        "script.hides_missing"
    )


@pytest.mark.parametrize(
    "source",
    [
        "parts = []\nfor path in snakemake.input:\n    try:\n        parts.append(uproot.open(path)['events'])\n"
        "    except Exception as error:\n        print(f'skip {path}: {error}')\n        continue\n",
        "parts = []\nfor path in snakemake.input:\n    try:\n        parts.append(np.load(path))\n"
        "    except FileNotFoundError:\n        pass\n",
        "for name in ('sf_a', 'sf_b'):\n    try:\n        mass = mass * tree[name].array()\n    except Exception:\n"
        "        pass\n",
        "from contextlib import suppress\nwith suppress(KeyError):\n    mass = mass * tree['weight'].array()\n",
        "try:\n    extra = pd.read_parquet(snakemake.input[0])['m']\n    mass = mass + extra\n"
        "except OSError:\n    pass\n",
        "from contextlib import suppress\nwith suppress(Exception):\n    extra = np.load(snakemake.input[0])['m']\n"
        "    mass = mass + extra\n",
    ],
)
def test_going_on_without_an_input(source: str) -> None:
    assert told(found(trial(OPEN + source + SAVE, outputs=ONE))) == error("script.hides_missing")


@pytest.mark.parametrize(
    "source",
    [
        "info = json.loads(Path(snakemake.input[0]).read_text())\n"
        "mass = mass + info.get('VBF', {}).get('yield', 0.0)\n",
        "try:\n    mass = mass * tree['weight'].array()\nexcept KeyError:\n    print('no weights')\n",
        "import os\nfor path in snakemake.input:\n    if not os.path.exists(path):\n        continue\n"
        "    print(path)\n",
    ],
)
def test_going_on_without_a_column_is_told(source: str) -> None:
    findings = told(found(trial(OPEN + source + SAVE, outputs=ONE)))
    assert findings <= warning("script.hides_missing") | error("script.hides_missing") and findings


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    weight = tree['weight'].array()\nexcept KeyError as error:\n"
        "    raise SystemExit(f'no weight: {error}')\n",
        "try:\n    weight = tree['weight'].array()\nexcept KeyError:\n    raise ValueError('no weight') from None\n",
        "import sys\ntry:\n    weight = tree['weight'].array()\nexcept KeyError:\n    print('no weight')\n"
        "    sys.exit(1)\n",
        "def fail(text):\n    raise ValueError(text)\ntry:\n    mass = tree['mass'].array()\n"
        "except KeyError:\n    fail('no')\n",
        "try:\n    mass = tree['m_gg'].array()\nexcept KeyError:\n    mass = tree['m_yy'].array()\n",
        "if 'm_gg' in tree.keys():\n    mass = tree['m_gg'].array()\nelif 'm_yy' in tree.keys():\n"
        "    mass = tree['m_yy'].array()\nelse:\n    raise KeyError('no mass')\n",
        "name = 'm_gg' if 'm_gg' in tree.keys() else 'm_yy'\nmass = tree[name].array()\n",
        "missing = [name for name in ('m_yy', 'weight') if name not in tree]\nif missing:\n"
        "    raise KeyError(missing)\n",
        "for name in ('m_yy', 'weight'):\n    if name not in tree.keys():\n        raise KeyError(name)\n",
        "if 'weight' not in tree.keys():\n    raise KeyError('no weight')\nmass = mass * tree['weight'].array()\n",
        "assert 'weight' in tree\n",
        "summary = {}\nfor name, branch in tree.items():\n    try:\n"
        "        summary[name] = float(np.mean(branch.array()))\n"
        "    except Exception:\n        summary[name] = None\nmass = list(summary)\n",
        "counts = {}\nfor m in mass:\n    key = int(m)\n    counts[key] = counts.get(key, 0) + 1\n",
        "bins = snakemake.params.get('bins', 55)\nh, _ = np.histogram(mass, bins)\n",
        "info = json.loads(Path(snakemake.input[0]).read_text())\ntitle = info.get('title', '')\n"
        "unit = info.get('unit')\n",
        "info = json.loads(Path(snakemake.input[0]).read_text())\n"
        "n = info.get('n', len(mass)) + info.get('m', mass.sum())\n",
        "totals = {}\nfor name in tree.keys():\n    try:\n        totals[name] = tree[name].array().sum()\n"
        "    except Exception:\n        totals[name] = None\nmass = list(totals)\n",
        "try:\n    import mplhep\nexcept ImportError:\n    mplhep = None\n",
        "try:\n    plt.style.use('fancy')\nexcept OSError:\n    pass\n",
        "import os\nif not os.path.exists(snakemake.input[0]):\n    raise FileNotFoundError(snakemake.input[0])\n",
        "if 'phi' in snakemake.wildcards.variable:\n    bins = 64\nelse:\n    bins = 50\n"
        "h, _ = np.histogram(mass, bins)\n",
        "if snakemake.log:\n    Path(snakemake.log[0]).write_text('done')\n",
        "limit = getattr(snakemake.params, 'limit', 3.0)\nmass = mass[mass > limit]\n",
        "try:\n    unit = tree['m_yy'].title.split('[')[1]\nexcept KeyError:\n    unit = ''\n",
        "met = tree['met'].array() if 'met' in tree else None\nif met is None:\n    raise KeyError('met')\n",
        "jets = np.where(mass > 0, mass, 0.0)\n",
        "ratio = mass.sum() / len(mass) if len(mass) else 0.0\n",
        "try:\n    ratio = 1 / mass.sum()\nexcept ZeroDivisionError:\n    ratio = float('nan')\n",
    ],
)
def test_code_that_hides_nothing(source: str) -> None:
    assert found(trial(OPEN + source + SAVE, outputs=ONE)) == ()


def test_a_param_that_the_rule_spells_otherwise() -> None:
    source = OPEN + "mass = mass * snakemake.params.get('luminosity', 36.0)\n" + SAVE
    assert told(found(trial(source, params={"luminosity_fb": 10}, outputs=ONE))) == error("script.hides_missing")
    assert found(trial(source, params={"luminosity": 10}, outputs=ONE)) == ()
    assert found(trial(source, outputs=ONE)) == ()


# --- failures -------------------------------------------------------------------------------------------------------

FIT = OPEN + "def nll(mu):\n    return float(np.sum((mass - mu) ** 2))\nm = Minuit(nll, mu=125)\n"


@pytest.mark.parametrize(
    "source",
    [
        "valid = False\ntry:\n    m.migrad()\n    valid = m.valid\nexcept Exception:\n    valid = True\n",
        "try:\n    m.migrad()\n    mu = m.values['mu']\nexcept Exception:\n    mu = 125.0\n",
        "try:\n    m.migrad()\nexcept:\n    pass\n",
        "try:\n    m.migrad()\n    m.hesse()\nexcept Exception as error:\n    print('fit failed', error)\n",
        "try:\n    fit = minimize(nll, [125.0])\nexcept Exception:\n    fit = [125.0, 2.0]\n",
        "def run():\n    m.migrad()\n    return m.values['mu']\ntry:\n    mu = run()\nexcept Exception:\n"
        "    mu = 0.0\n",
        "try:\n    p, c = curve_fit(nll, mass, mass)\nexcept Exception:\n    p, c = [125.0, 2.0], [1.0]\n",
        "from contextlib import suppress\nwith suppress(Exception):\n    m.migrad()\n",
        "try:\n    m.migrad()\n    out = {'valid': m.valid}\nexcept Exception:\n"
        "    out = {'valid': True, 'mu': None}\n",
    ],
)
def test_a_failed_fit_that_looks_like_a_success(source: str) -> None:
    findings = told(found(trial(FIT + source + SAVE, outputs=ONE)))
    assert ("script.swallows", "error") in findings
    assert {check for check, _ in findings} <= {"script.swallows", "script.fit_unchecked"}


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    m.migrad()\nexcept Exception:\n    pass\nif not m.valid:\n    raise RuntimeError('no fit')\n",
        "try:\n    value = np.linalg.inv(np.outer(mass, mass))\nexcept Exception:\n    value = 0.0\n",
    ],
)
def test_other_swallowed_failures_are_told(source: str) -> None:
    assert told(found(trial(FIT + source + SAVE + "print(m.valid)\n", outputs=ONE))) == warning("script.swallows")


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    m.migrad()\n    valid = m.valid\nexcept Exception:\n    valid = False\n",
        "try:\n    m.migrad()\n    mu = m.values['mu']\nexcept Exception:\n    mu = None\nprint(m.valid)\n",
        "try:\n    m.migrad()\n    mu = m.values['mu']\nexcept RuntimeError:\n    mu = float('nan')\nprint(m.valid)\n",
        "try:\n    m.migrad()\nexcept Exception as error:\n    raise RuntimeError('fit failed') from error\n"
        "print(m.valid)\n",
        "m.migrad()\ntry:\n    m.minos()\nexcept RuntimeError:\n    pass\nprint(m.valid)\n",
        "notes = []\ntry:\n    m.migrad()\nexcept Exception as error:\n    notes.append(str(error))\nprint(m.valid)\n",
        "try:\n    m.migrad()\n    out = {'valid': m.valid}\nexcept Exception:\n"
        "    out = {'valid': False, 'mu': 0.0}\n",
        "m.migrad()\nprint(m.valid)\ntry:\n    plt.tight_layout()\nexcept Exception:\n    pass\n",
        "m.migrad()\nprint(m.valid)\ntry:\n    plt.style.use('x')\nexcept Exception:\n    pass\n",
        "try:\n    m.migrad()\nfinally:\n    print(m.valid)\n",
    ],
)
def test_failures_that_are_not_swallowed(source: str) -> None:
    assert found(trial(FIT + source + SAVE, outputs=ONE)) == ()
