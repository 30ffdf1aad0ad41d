"""What can be tested: a counting experiment, a HistFactory workspace, the model of a fit; and what a rule means."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wrappers.common.asymptotics import Best
from wrappers.common.fit_problem import fit_problem
from wrappers.common.histfactory import constraint, pyhf_model, read_workspace
from wrappers.common.job import WrongInput, choice, existing, near

POISSON, GAUSS = "poisson", "gauss"


@dataclass(frozen=True, kw_only=True)
class Count:
    """One count and the auxiliary measurement of its background.

    Attributes:
        events: observed events (not a whole number in Asimov data).
        background: auxiliary measurement: events in a control region (constraint `poisson`) or background (`gauss`).
    """

    events: float
    background: float


@dataclass(frozen=True, kw_only=True)
class Counting:
    """A counting experiment: n ~ Poisson(mu s + b), with b known, or measured beside.

    With an error on b the likelihood has a second factor: a control region, m ~ Poisson(tau b) with tau = b0 / error**2
    (`poisson`), or a Gaussian around b0 (`gauss`). The best b for a given mu is a quadratic equation in both.
    """

    poi = "mu"
    events: float
    background: float
    error: float
    signal: float
    constraint: str = POISSON
    nominal: bool = True

    def __post_init__(self) -> None:
        wrong = [
            (not (self.events >= 0 and math.isfinite(self.events)), f"observed={self.events} must be 0 or more"),
            (not self.background > 0, f"background={self.background} must be above 0"),
            (not (self.error >= 0 and math.isfinite(self.error)), f"background_error={self.error} must be 0 or more"),
            (not self.signal > 0, f"signal={self.signal} must be above 0"),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise WrongInput(f"counting experiment: {message}")

    @property
    def tau(self) -> float:
        """How many events of the control region stand for one background event."""
        return self.background / self.error**2

    @property
    def observed(self) -> Count:
        """The data."""
        measured = self.tau * self.background if self.error and self.constraint == POISSON else self.background
        return Count(events=self.events, background=measured)

    def best(self, data: Count, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Solve for the best background and, if it is free, the best mu; that may be negative."""
        if poi is not None:
            background = self._profiled(data, poi)
            return Best(poi=poi, nll=self._nll(data, poi, background), parameters=background)
        measured = data.background / self.tau if self.error and self.constraint == POISSON else data.background
        background = max(measured, 0.0)
        free = (data.events - background) / self.signal
        error = math.sqrt(data.events + (self.error**2 if self.error else 0.0)) / self.signal
        return Best(poi=free, nll=self._nll(data, free, background), parameters=background, error=error)

    def _profiled(self, data: Count, poi: float) -> float:
        s, n = poi * self.signal, data.events
        if not self.error:
            return self.background
        if self.constraint == GAUSS:
            # with x = s + b: x**2 + (error**2 - s - m) x - n error**2 = 0
            half = (self.error**2 - s - data.background) / 2
            return max(-half + math.sqrt(half**2 + n * self.error**2) - s, 1e-12)
        total, m = 1 + self.tau, data.background
        # n / (s + b) + m / b = 1 + tau
        half = (total * s - n - m) / (2 * total)
        return max(-half + math.sqrt(half**2 + m * s / total), 1e-12, 1e-12 - s)

    def _nll(self, data: Count, poi: float, background: float) -> float:
        rate = max(poi * self.signal + background, 0.0)
        value = _poisson_nll(data.events, rate)
        if self.error and self.constraint == POISSON:
            value += _poisson_nll(data.background, self.tau * background)
        elif self.error:
            value += 0.5 * ((background - data.background) / self.error) ** 2
        return value

    def hypothesis(self, poi: float) -> Best:
        """Take the background as given, or as it fits the data best together with this mu."""
        if self.nominal:
            return Best(poi=poi, nll=0.0, parameters=self.background)
        return self.best(self.observed, poi)

    def asimov(self, hypothesis: Best) -> Count:
        """Return expected counts."""
        background = float(hypothesis.parameters)
        measured = self.tau * background if self.error and self.constraint == POISSON else background
        return Count(events=hypothesis.poi * self.signal + background, background=measured)

    def toy(self, hypothesis: Best, random: np.random.Generator) -> Count:
        """Return random counts."""
        expected = self.asimov(hypothesis)
        events = float(random.poisson(expected.events))
        if not self.error:
            return Count(events=events, background=expected.background)
        if self.constraint == POISSON:
            return Count(events=events, background=float(random.poisson(expected.background)))
        return Count(events=events, background=float(random.normal(expected.background, self.error)))


def _poisson_nll(events: float, rate: float) -> float:
    if rate <= 0:
        return math.inf if events > 0 else 0.0
    return rate - events * math.log(rate) if events else rate


class Histfactory:
    """A HistFactory model evaluated by pyhf and minimised by iminuit, all parameters within the workspace's bounds.

    Only the upper bound of the parameter of interest is dropped: a limit may lie above it.
    """

    def __init__(
        self, spec: Mapping[str, Any], *, name: str, measurement: str | None = None, nominal: bool = False
    ) -> None:
        self.whole = pyhf_model(spec, name, measurement)
        self.model, self.observed = self.whole.model, self.whole.data
        config = self.model.config
        if config.poi_index is None:
            raise WrongInput(f"{name}: the measurement names no parameter of interest")
        self.poi: str = config.poi_name
        self.index: int = config.poi_index
        self.nominal = nominal
        self.start = np.array(config.suggested_init(), dtype=float)
        self.fixed = np.array(config.suggested_fixed(), dtype=bool)
        self.limits: list[tuple[float | None, float | None]] = [tuple(one) for one in config.suggested_bounds()]
        if self.fixed[self.index]:
            raise WrongInput(f"{name}: the parameter of interest {self.poi!r} is fixed in the workspace")
        if self.limits[self.index][0] > 0:  # type: ignore[operator]  # pyhf gives numbers
            raise WrongInput(f"{name}: {self.poi!r} cannot be 0 within its bounds {self.limits[self.index]}")
        self.limits[self.index] = (self.limits[self.index][0], None)

    def best(self, data: Any, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Minimise with MIGRAD; a second search with strategy 2 follows a failed one."""
        start = np.array(near.parameters if near is not None else self.start, dtype=float)
        fixed = self.fixed.copy()
        if poi is not None:
            start[self.index], fixed[self.index] = poi, True
        elif near is not None and near.poi <= 0:
            start[self.index] = self.start[self.index]  # MIGRAD would not leave a bound
        minuit = self.whole.minimise(data, start, fixed, self.limits)
        if poi is None and near is None:
            minuit.hesse()
        values = np.array(minuit.values)
        error = float(minuit.errors[self.index]) if poi is None else 0.0
        valid = bool(minuit.valid) and math.isfinite(float(minuit.fval))
        return Best(poi=float(values[self.index]), nll=float(minuit.fval), parameters=values, error=error, valid=valid)

    def hypothesis(self, poi: float) -> Best:
        """Take nuisance parameters from the workspace, or as they fit the data best together with this value."""
        if not self.nominal:
            return self.best(self.observed, poi)
        values = self.start.copy()
        values[self.index] = poi
        return Best(poi=poi, nll=0.0, parameters=values)

    def asimov(self, hypothesis: Best) -> np.ndarray:
        """Return expected bin contents and auxiliary data, shape (bins + auxiliary,)."""
        return np.asarray(self.model.expected_data(hypothesis.parameters))

    def toy(self, hypothesis: Best, random: np.random.Generator) -> np.ndarray:
        """Return random bin contents and auxiliary data, shape (bins + auxiliary,)."""
        main = random.poisson(np.asarray(self.model.expected_actualdata(hypothesis.parameters)))
        if not self.model.config.nauxdata:
            return main.astype(float)
        expected, sigmas = constraint(self.model, hypothesis.parameters)
        counted = np.isnan(sigmas)
        aux = np.empty(len(expected))
        aux[counted] = random.poisson(expected[counted])
        aux[~counted] = random.normal(expected[~counted], sigmas[~counted])
        return np.concatenate([main, aux]).astype(float)


COUNTS = ("observed", "background", "background_error", "signal")
PROBLEM_DEFAULTS: dict[str, Any] = {
    "poi": None,
    "measurement": None,
    "nuisances": None,
    "constraint": POISSON,
    **dict.fromkeys(COUNTS),
}


def problem_of(snakemake: Any, params: Mapping[str, Any], *, nominal: bool) -> tuple[str, Any]:
    """Return what the rule wants tested: its kind (`workspace`, `fit` or `counting`), and the problem.

    The input is named `workspace`, `fit` (with `data`) or `counts`, or a single unnamed file that is told by its keys;
    without input, the counting experiment of the params.

    Args:
        snakemake: the object that Snakemake gives to a script.
        params: with the defaults of `PROBLEM_DEFAULTS`.
        nominal: whether a counting experiment's background as given makes the expected data if `nuisances` is not set.
    """
    existing(snakemake.input)
    named = dict(snakemake.input.items())
    for name in named:
        if name not in ("workspace", "fit", "data", "counts"):
            raise WrongInput(f"input: there is no {name!r}. {near(name, ['workspace', 'fit', 'data', 'counts'])}")
    nuisances = params["nuisances"]
    if nuisances is not None:
        choice("nuisances", nuisances, ["data", "nominal"])
    main = [name for name in ("workspace", "fit", "counts") if name in named]
    if len(main) > 1 or (not main and len(snakemake.input) > 1):
        raise WrongInput("input: one of workspace=..., fit=... (with data=...) or counts=... is wanted")
    path = str(named[main[0]] if main else snakemake.input[0]) if len(snakemake.input) else None
    if path is None:
        return "counting", _counting(params, "params", nominal if nuisances is None else nuisances == "nominal")
    document = read_workspace(path)
    kind = main[0] if main else _kind(document, path)
    if kind != "counts":
        for name in COUNTS:
            if params[name] is not None:
                raise WrongInput(f"params: {name} belongs to a counting experiment, but {path} is a {kind}")
    if kind == "workspace":
        problem = Histfactory(document, name=path, measurement=params["measurement"], nominal=nuisances == "nominal")
        if params["poi"] not in (None, problem.poi):
            raise WrongInput(f"params: poi={params['poi']!r}: the workspace's parameter of interest is {problem.poi!r}")
        return kind, problem
    if kind == "fit":
        if nuisances == "nominal":
            raise WrongInput("params: nuisances='nominal': a fit has no nominal values; leave it out")
        return kind, fit_problem(document, path, named.get("data"), params["poi"])
    given = {name: document.get(name) if params[name] is None else params[name] for name in COUNTS}
    return "counting", _counting({**params, **given}, path, nominal if nuisances is None else nuisances == "nominal")


def _kind(document: Mapping[str, Any], path: str) -> str:
    if "channels" in document and "measurements" in document:
        return "workspace"
    if "parameters" in document and "model" in document:
        return "fit"
    if "background" in document and "signal" in document:
        return "counts"
    raise WrongInput(
        f"{path}: neither a pyhf workspace (channels, measurements), nor the result of a fit with its model "
        "(parameters, model), nor a counting experiment (observed, background, background_error, signal)"
    )


def _counting(params: Mapping[str, Any], where: str, nominal: bool) -> Counting:
    choice("constraint", params["constraint"], [POISSON, GAUSS])
    values = {}
    for name in COUNTS:
        value = params[name]
        if value is None and name in ("background", "signal"):
            raise WrongInput(
                f"{where}: a counting experiment needs {name} (and observed; background_error is 0 if left out)"
            )
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise WrongInput(f"{where}: {name}={value!r} is no number")
        values[name] = value
    observed = values["background"] if values["observed"] is None else values["observed"]
    if values["observed"] is None:
        print("No observed events are given: the observed result is that of the expected background.")
    return Counting(
        events=float(observed),
        background=float(values["background"]),
        error=float(values["background_error"] or 0.0),
        signal=float(values["signal"]),
        constraint=params["constraint"],
        nominal=nominal,
    )


PACKAGES = {
    "counting": ["numpy", "scipy"],
    "workspace": ["iminuit", "numpy", "pyhf", "scipy"],
    "fit": ["iminuit", "numpy", "scipy"],
}


def check_numbers(params: Mapping[str, Any], ranges: Mapping[str, tuple[int, int | None]]) -> None:
    """Raise `WrongInput` for a param that is no whole number within its range."""
    for name, (low, high) in ranges.items():
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            said = f"at least {low}" if high is None else f"from {low} to {high}"
            raise WrongInput(f"params: {name}={value!r} must be a whole number, {said}")
