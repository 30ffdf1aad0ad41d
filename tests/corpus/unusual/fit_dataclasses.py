import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from iminuit import Minuit
from iminuit.cost import ExtendedUnbinnedNLL
from scipy import stats
from scipy.integrate import quad


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def mask(self, table):
        column = table["m_yy"]
        return table.filter(pc.and_(pc.greater_equal(column, self.low), pc.less_equal(column, self.high)))

    @property
    def width(self):
        return self.high - self.low


@dataclass(frozen=True)
class Parameter:
    value: float
    error: float
    limits: list


@dataclass
class PeakOnContinuum:
    """Gaussian plus exponential in an interval, extended."""

    interval: Interval
    sigma: float
    names: ClassVar = ("n_signal", "n_background", "mean", "slope")

    def peak(self, mean):
        shape = stats.norm(mean, self.sigma)
        return shape, shape.cdf(self.interval.high) - shape.cdf(self.interval.low)

    def continuum(self, x, slope):
        a = slope * self.interval.width
        return np.exp(slope * (x - self.interval.low)) * slope / np.expm1(a)

    def __call__(self, x, n_signal, n_background, mean, slope):
        shape, norm = self.peak(mean)
        return n_signal + n_background, n_signal * shape.pdf(x) / norm + n_background * self.continuum(x, slope)

    def integral(self, edges, values):
        n_signal, n_background, mean, slope = values
        shape, norm = self.peak(mean)
        continuum = [quad(self.continuum, a, b, args=(slope,))[0] for a, b in zip(edges[:-1], edges[1:])]
        return n_signal * np.diff(shape.cdf(edges)) / norm + n_background * np.array(continuum)


@dataclass
class Report:
    valid: bool
    accurate: bool
    fmin: float
    parameters: dict
    fixed_parameters: dict
    covariance: list
    correlation: list
    gof: dict
    n_events: int
    notes: list = field(default_factory=list)


WINDOW = Interval(105.0, 160.0)  # GeV
MEAN = [120.0, 130.0]  # GeV
BIN = 1.0  # GeV
MARGIN = 0.01  # GeV, how near to its limit the mean may end

data = WINDOW.mask(pq.read_table(snakemake.input.data, columns=["m_yy", "weight"]))
assert pc.all(pc.equal(data["weight"], 1.0)).as_py(), "data with weights cannot be fitted unbinned"
mass = data["m_yy"].to_numpy()

simulated = WINDOW.mask(pq.read_table(snakemake.input.signal, columns=["m_yy", "weight"]))
m, w = (simulated[name].to_numpy() for name in ("m_yy", "weight"))
centre = np.average(m, weights=w)
model = PeakOnContinuum(WINDOW, float(np.sqrt(np.average((m - centre) ** 2, weights=w))))

fit = Minuit(
    ExtendedUnbinnedNLL(mass, model),
    n_signal=0.03 * len(mass), n_background=0.97 * len(mass), mean=125.0, slope=-0.02,
)
fit.limits["mean"] = MEAN
fit.strategy = 2
fit.migrad()
fit.hesse()
covariance = np.asarray(fit.covariance)
errors = np.sqrt(covariance.diagonal())

edges = np.arange(WINDOW.low, WINDOW.high + BIN / 2, BIN)
expected = model.integral(edges, fit.values)
chi2 = float(np.sum((np.histogram(mass, edges)[0] - expected) ** 2 / expected))
ndf = len(expected) - fit.nfit

report = Report(
    valid=bool(fit.valid and np.linalg.eigvalsh(covariance).min() > 0 and min(fit.values["mean"] - MEAN[0], MEAN[1] - fit.values["mean"]) > MARGIN),
    accurate=bool(fit.accurate),
    fmin=float(fit.fval),
    parameters={
        name: asdict(Parameter(float(fit.values[name]), float(error), MEAN if name == "mean" else [None, None]))
        for name, error in zip(model.names, errors)
    },
    fixed_parameters={"sigma": model.sigma},
    covariance=covariance.tolist(),
    correlation=(covariance / np.outer(errors, errors)).tolist(),
    gof={"chi2": chi2, "ndf": ndf, "p": float(stats.chi2.sf(chi2, ndf))},
    n_events=len(mass),
)
with open(snakemake.output.fit, "w") as sink:
    json.dump(asdict(report), sink, allow_nan=False, indent=1)
print(report.parameters, report.gof)
