from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

READ = (
    "m = uproot.open(snakemake.input[0])['events']['m_yy'].array(library='np')\n"
    "def nll(mu):\n    return float(np.sum((m - mu) ** 2))\n"
)
ONE = ("fit.json",)


def saved(document: str) -> str:
    return f"with open(snakemake.output[0], 'w') as file:\n    json.dump({document}, file)\n"


MINUIT = "fit = Minuit(nll, mu=125)\nfit.migrad()\n"
SCIPY = "fit = minimize(nll, 125)\n"


@pytest.mark.parametrize(
    "source",
    [
        MINUIT + saved("{'valid': True, 'mu': fit.values['mu']}"),
        SCIPY + saved("{'converged': True, 'mu': float(fit.x[0])}"),
        MINUIT + "result = {'mu': fit.values['mu']}\nresult['valid'] = True\n" + saved("result"),
        MINUIT + "OK = True\n" + saved("{'fit': {'valid': OK, 'mu': fit.values['mu']}}"),
        MINUIT + saved("{'valid': fit.valid, 'accurate': True}"),
        "import zfit\nfit = zfit.minimize.Minuit().minimize(nll)\n" + saved("{'valid': True, 'mu': len(m)}"),
    ],
)
def test_a_fit_that_is_called_valid_whatever_happened(source: str) -> None:
    assert told(found(trial(READ + source, outputs=ONE))) == error("script.fit_unchecked")


@pytest.mark.parametrize(
    "source",
    [
        MINUIT + saved("{'mu': fit.values['mu']}"),
        SCIPY + saved("{'mu': float(fit.x[0])}"),
        "from scipy import optimize\nfit = optimize.least_squares(nll, 125)\n" + saved("{'mu': float(fit.x[0])}"),
    ],
)
def test_a_fit_that_nobody_looks_at(source: str) -> None:
    assert told(found(trial(READ + source, outputs=ONE))) == warning("script.fit_unchecked")


@pytest.mark.parametrize(
    "source",
    [
        MINUIT + saved("{'valid': fit.valid, 'mu': fit.values['mu']}"),
        MINUIT + "if not fit.valid:\n    raise RuntimeError('no')\n" + saved("{'valid': True, 'mu': fit.values['mu']}"),
        MINUIT + saved("{'valid': fit.fmin.is_valid}"),
        MINUIT + "assert fit.accurate\n" + saved("{'valid': fit.valid, 'accurate': True}"),
        SCIPY + saved("{'valid': bool(fit.success)}"),
        SCIPY + saved("{'valid': bool(fit['success'])}"),
        "p, c = curve_fit(nll, m, m)\n" + saved("{'valid': True, 'mu': float(p[0])}"),
        "import zfit\nfit = zfit.minimize.Minuit().minimize(nll)\n" + saved("{'valid': fit.converged}"),
        "slope = np.polyfit(m, m, 1)\n" + saved("{'valid': True, 'slope': float(slope[0])}"),
        "class Tool:\n    def minimize(self):\n        return 1\nt = Tool()\nx = t.minimize()\n" + saved("{'x': x}"),
    ],
)
def test_fits_that_are_looked_at(source: str) -> None:
    assert found(trial(READ + source, outputs=ONE)) == ()


# --- tails ----------------------------------------------------------------------------------------------------------

Z = READ + "z = np.sqrt(2 * nll(125))\nz_obs = z\nq = nll(1)\nndf = 5\n"


@pytest.mark.parametrize(
    "source",
    [
        "p0 = norm.cdf(z)\n",
        "p_value = float(norm.cdf(z_obs))\n",
        "pvalue = norm.cdf(np.sqrt(q))\n",
        "p = chi2.cdf(q, ndf)\n",
        "import scipy.stats as st\np_val = st.chi2.cdf(q, ndf)\n",
        "from scipy import stats\nresult = {'p0': stats.norm.cdf(z)}\n",
        "out = {}\nout['p_value'] = float(chi2.cdf(q, ndf))\n",
        "from scipy.special import ndtr\np0 = ndtr(z)\n",
        "import math\np0 = 0.5 * (1.0 + math.erf(z_obs / math.sqrt(2.0)))\n",
        "from scipy.special import erfc\np0 = erfc(-z / np.sqrt(2)) / 2\n",
        "p0 = norm.cdf(z) if z > 0 else 0.5\n",
        "fit = {'z_obs': z}\np0 = norm.cdf(fit['z_obs'])\n",
        "p0 = norm.sf(z)\nz_exp = norm.ppf(p0)\n",
    ],
)
def test_the_wrong_tail(source: str) -> None:
    assert told(found(trial(Z + source + saved("{'n': len(m)}"), outputs=ONE))) == error("script.wrong_tail")


@pytest.mark.parametrize(
    "source",
    [
        "p0 = norm.sf(z)\n",
        "p0 = 1 - norm.cdf(z)\n",
        "p0 = norm.cdf(-z)\n",
        "p_value = 2 * (1 - norm.cdf(abs(z)))\n",
        "p = chi2.sf(q, ndf)\n",
        "p = 1.0 - chi2.cdf(q, ndf)\n",
        "p = chi2.cdf(q, ndf)\np_right = 1 - p\n",
        "cl = chi2.cdf(q, ndf)\n",
        "import math\np0 = 0.5 * (1.0 - math.erf(z_obs / math.sqrt(2.0)))\n",
        "import math\np0 = 0.5 * math.erfc(z_obs / math.sqrt(2.0))\n",
        "import math\np0 = 0.5 * (1.0 + math.erf(-z_obs / math.sqrt(2.0)))\n",
        "import math\ncdf = 0.5 * (1.0 + math.erf(z_obs / math.sqrt(2.0)))\n",
        "quantile = norm.cdf(z)\n",
        "for z in (-2, -1, 0, 1, 2):\n    p = norm.cdf(z)\n    print(np.quantile(m, p))\n",
        "p = norm.cdf(m, 125, 2)\n",
        "p0 = norm.sf(z)\nz_exp = norm.isf(p0)\nz_0 = -norm.ppf(p0)\nz = norm.ppf(1 - p0)\n",
        "cls = norm.cdf(z) / norm.cdf(q)\n",
        "from scipy.special import chdtrc\np = chdtrc(ndf, q)\n",
        "probability = chi2.cdf(q, ndf)\n",
    ],
)
def test_the_right_tail(source: str) -> None:
    assert found(trial(Z + source + saved("{'n': len(m)}"), outputs=ONE)) == ()
