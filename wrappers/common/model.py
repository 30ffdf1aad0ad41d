"""Models of spectra from short descriptions, such as `DSCB + exp` or `signal=DSCB(mu=125, sigma=?) + background=poly3`.

A description is a sum of terms `name = factor * shape(argument, …)`, of which only the shape is needed.

- `name`: of the component. Without one, the only peak (or template) is `signal`, the only smooth shape `background`.
- `factor *`: a number or parameter; their product is the expected number of events. Without one it is the free
  parameter `n_<component>`. Before a template with a factor comes its own content too: `mu * template`.
- arguments: `mu=125` is fixed, `mu=125?` free from this start value, `mu=?` free (as without), `mu=m_h` is the
  parameter `m_h`. The observable may stand first. A template's first argument names its histogram (else: the
  component's name).

Names that stand in a description belong to the whole model: used twice, they mean one parameter. The names that are
implied (`mu`, `n_signal`) get the component's name in front where two parameters would have the same, and the
category's behind if there are several categories and the name is not among those called shared.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, near
from wrappers.common.shapes import SHAPE_NAMES, Shape, make_shape, shape_name

PEAKS = ("dscb", "cb", "gauss", "template")
ARGUMENT_ALIASES = {
    "mean": "mu", "m0": "mu", "width": "sigma", "slope": "lam", "lambda": "lam",
    "alphal": "alpha_l", "alphar": "alpha_r", "al": "alpha_l", "ar": "alpha_r", "nl": "n_l", "nr": "n_r",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_]\w*")
TERM = re.compile(
    r"(?:(?P<name>[^=*()]+?)\s*=)?\s*(?P<factors>(?:[^*()=]+\*)*)\s*"
    r"(?P<shape>[^*()=]+?)\s*(?:\((?P<arguments>[^()]*)\))?"
)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a model: its (start) value, limits (None: without), and whether it stays at the value.

    `given` says that a person chose the value; other start values are estimated from the data.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    fixed: bool = False
    given: bool = False


@dataclass(frozen=True, kw_only=True)
class Component:
    """One summand: names of the parameters of its shape, and the factors (names, numbers) of its expected events."""

    name: str
    shape: str
    arguments: tuple[str, ...]
    factors: tuple[str | float, ...]
    template: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def events(self, values: Mapping[str, float]) -> float:
        """Return the expected number of events in the range."""
        result = 1.0
        for factor in self.factors:
            result *= values[factor] if isinstance(factor, str) else factor
        return result

    def shape_on(self, low: float, high: float) -> Shape:
        """Return the shape, to be normalised to 1 between low and high."""
        histogram = tuple(np.array(one) for one in self.template) if self.template else None
        return make_shape(self.shape, low, high, histogram)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Category:
    """One spectrum: a sum of components for an observable between low and high."""

    name: str
    observable: str
    low: float
    high: float
    components: tuple[Component, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters it depends on, in the order of the description."""
        names = [factor for one in self.components for factor in one.factors if isinstance(factor, str)]
        names += [name for one in self.components for name in one.arguments]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Model:
    """Categories that are fitted together, their parameters, and Gaussian constraints as {name: (mean, width)}."""

    categories: tuple[Category, ...]
    parameters: Mapping[str, Parameter]
    constraints: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are not fixed."""
        return tuple(name for name, one in self.parameters.items() if not one.fixed)

    @property
    def values(self) -> dict[str, float]:
        """The value of each parameter."""
        return {name: one.value for name, one in self.parameters.items()}

    def category(self, name: str) -> Category:
        """Return the category of that name."""
        return next(one for one in self.categories if one.name == name)

    def changed(self, values: Mapping[str, float], *, fixed: Iterable[str] = (), given: bool = True) -> "Model":
        """Return the model with other values; parameters named in `fixed` stay at theirs.

        Raises:
            WrongInput: for a name that is no parameter.
        """
        fixed = set(fixed)
        for name in {*values, *fixed}:
            if name not in self.parameters:
                raise WrongInput(f"the model has no parameter {name!r}. {near(name, self.parameters)}")
        parameters = {
            name: dataclasses.replace(
                one,
                value=float(values.get(name, one.value)),
                given=one.given or (given and name in values),
                fixed=one.fixed or name in fixed,
            )
            for name, one in self.parameters.items()
        }
        return dataclasses.replace(self, parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class _Term:
    name: str
    shape: str
    factors: tuple[str | float, ...]
    arguments: dict[str, str]
    template: str | None


def parse_model(
    description: str | Mapping[str, str],
    observable: str,
    low: float,
    high: float,
    *,
    templates: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    shared: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    constraints: Mapping[str, Any] | None = None,
) -> Model:
    """Return the model of a description, or of one per category.

    Args:
        description: such as `DSCB + exp`, or {category: description}.
        observable: name of the quantity, such as `m_yy`.
        low: lower end of the range.
        high: upper end.
        templates: (edges, contents) by name, or by (category name).(name) where categories differ.
        shared: implied parameter names that all categories share.
        parameters: {name: {"value": …, "limits": [low or None, high or None], "fixed": …}}, each key optional.
        constraints: {name: [mean, width]}.

    Raises:
        WrongInput: saying what is wrong where, with near matches of names.
    """
    if not low < high:
        raise WrongInput(f"params: range: {low:g} is not below {high:g}")
    descriptions = {"": description} if isinstance(description, str) else dict(description)
    terms = {category: _terms(text, observable) for category, text in descriptions.items()}
    said = {factor for those in terms.values() for term in those for factor in term.factors if isinstance(factor, str)}
    said |= {v for those in terms.values() for term in those for v in term.arguments.values() if NAME.fullmatch(v)}
    known: dict[str, Parameter] = {}
    implied: set[str] = set()
    categories = []
    for category, those in terms.items():
        suffix = f"_{category}" if len(terms) > 1 else ""
        names = _implied_names(those, said)
        implied |= set(names.values())
        spelled = {key: name if name in shared else name + suffix for key, name in names.items()}
        components = tuple(_component(term, category, spelled, known, (low, high), templates or {}) for term in those)
        one = Category(name=category or "all", observable=observable, low=low, high=high, components=components)
        categories.append(one)
    for name in shared:
        if name not in implied:
            raise WrongInput(f"params: shared: no parameter {name!r} is implied. {near(name, implied)}")
    bounds = _constraints(constraints or {}, known)
    known = {name: _adjusted(known, name, bounds.get(name), (parameters or {}).get(name)) for name in known}
    for name in parameters or {}:
        if name not in known:
            raise WrongInput(f"params: parameters: the model has no parameter {name!r}. {near(name, known)}")
    for name in bounds:
        if known[name].fixed:
            raise WrongInput(f"params: constraints: {name} is fixed: leave it free, or leave the constraint out")
    return Model(categories=tuple(categories), parameters=known, constraints=bounds)


def check_description(text: str) -> None:
    """Raise `WrongInput` for a description that cannot be understood, whatever the data are."""
    _terms(text, None)


def _terms(text: str, observable: str | None) -> list[_Term]:
    """Take a description apart; components get their names. Without an observable, any may stand in it."""
    found = []
    for part in re.split(r"(?<![\d.][eE])\+(?![^()]*\))", text):
        match = TERM.fullmatch(part.strip())
        if match is None:
            raise WrongInput(f"params: model: {part.strip()!r} is not like `name = factor * shape(argument=…)`")
        shape = shape_name(match["shape"])
        if shape is None:
            raise WrongInput(f"params: model: no shape {match['shape']!r}. {near(match['shape'], SHAPE_NAMES)}")
        name = match["name"] or ""
        if name and not NAME.fullmatch(name):
            raise WrongInput(f"params: model: {name!r} cannot be a component's name (letters, digits, _)")
        factors = tuple(_factor(word.strip()) for word in match["factors"].split("*")[:-1])
        arguments, template = _arguments(match["arguments"] or "", shape, observable)
        found.append(_Term(name=name, shape=shape, factors=factors, arguments=arguments, template=template))
    return _named(found)


def _factor(word: str) -> str | float:
    if NAME.fullmatch(word):
        return word
    try:
        return float(word)
    except ValueError:
        raise WrongInput(f"params: model: {word!r} is neither a number nor a parameter's name") from None


def _arguments(text: str, shape: str, observable: str | None) -> tuple[dict[str, str], str | None]:
    """Return {parameter: value as written}, and the name of a template's histogram."""
    allowed = make_shape(shape, 1.0, 2.0, (np.array([1.0, 2.0]), np.array([1.0]))).parameters
    found: dict[str, str] = {}
    template = None
    for word in filter(None, (one.strip() for one in text.split(","))):
        key, equals, value = (one.strip() for one in word.partition("="))
        if not equals:
            if shape == "template" and key != observable:
                template = key
            elif observable is not None and key != observable:
                raise WrongInput(
                    f"params: model: {shape}({key}): the observable is {observable!r}. {near(key, [observable])}"
                )
            continue
        name = ARGUMENT_ALIASES.get(key.lower().replace("_", ""), key.lower())
        if name not in allowed:
            raise WrongInput(f"params: model: {shape} has no parameter {key!r}. {near(key, allowed)}")
        number = value.removesuffix("?")
        if value != "?" and not NAME.fullmatch(value) and not isinstance(_factor(number), float):
            raise WrongInput(f"params: model: {key}={value}: a number, a number with ?, ? or a parameter's name")
        found[name] = value
    return found, template


def _named(terms: list[_Term]) -> list[_Term]:
    """Give names to the components that have none."""
    taken = {term.name for term in terms if term.name}
    result = []
    for number, term in enumerate(terms, start=1):
        peak = term.shape in PEAKS
        alike = [other for other in terms if not other.name and (other.shape in PEAKS) == peak]
        name = term.name or ("signal" if peak else "background")
        if not term.name and (len(alike) > 1 or name in taken):
            name = f"{term.shape}_{number}"
        result.append(dataclasses.replace(term, name=name))
    twice = [name for name, count in Counter(term.name for term in result).items() if count > 1]
    if twice:
        raise WrongInput(f"params: model: two components are called {twice[0]!r}")
    return result


def _implied_names(terms: list[_Term], said: set[str]) -> dict[tuple[str, str], str]:
    """Return {(component, parameter): name} for what a description leaves without a name; "" is the yield."""
    places = [(term.name, "") for term in terms if not term.factors]
    for term in terms:
        shape = make_shape(term.shape, 1.0, 2.0, (np.array([1.0, 2.0]), np.array([1.0])))
        places += [(term.name, one) for one in shape.parameters if not NAME.fullmatch(term.arguments.get(one, ""))]
    bare = {place: place[1] or f"n_{place[0]}" for place in places}
    often = Counter(bare.values())
    names = {place: f"{place[0]}_{name}" if often[name] > 1 or name in said else name for place, name in bare.items()}
    clash = [name for name, count in Counter(names.values()).items() if count > 1 or name in said]
    if clash:
        raise WrongInput(f"params: model: two parameters would be called {clash[0]!r}; name one, as in `mu=my_name`")
    return names


def _component(
    term: _Term,
    category: str,
    implied: Mapping[tuple[str, str], str],
    known: dict[str, Parameter],
    span: tuple[float, float],
    templates: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> Component:
    """Make a component and add its parameters to the known ones."""
    template = None
    factors: tuple[str | float, ...] = term.factors
    if term.shape == "template":
        wanted = term.template or term.name
        histogram = templates.get(f"{category}.{wanted}", templates.get(wanted))
        if histogram is None:
            raise WrongInput(f"params: model: no histogram for the template {wanted!r}. {near(wanted, templates)}")
        template = (tuple(map(float, histogram[0])), tuple(map(float, histogram[1])))
        if factors:
            factors = (
                *factors,
                float(make_shape("template", *span, _arrays(template)).integrals(np.array(span), ())[0]),
            )
    if not factors:
        factors = (implied[term.name, ""],)
    smooth = term.shape not in PEAKS
    for name in (one for one in factors if isinstance(one, str)):
        counts = name == implied.get((term.name, ""))
        known.setdefault(name, Parameter(name=name, value=1.0, low=0.0 if smooth and counts else None))
    try:
        shape = make_shape(term.shape, *span, _arrays(template) if template else None)
    except ValueError as error:
        raise WrongInput(f"params: model: {term.shape}: {error}") from None
    arguments = []
    for one, (value, low, high) in zip(shape.parameters, shape.defaults(), strict=True):
        written = term.arguments.get(one, "?")
        name = written if NAME.fullmatch(written) else implied[term.name, one]
        parameter = Parameter(name=name, value=value, low=low, high=high)
        if written != "?" and name != written:
            start = float(written.removesuffix("?"))
            parameter = _at(parameter, start, fixed=not written.endswith("?"))
        known[name] = _merged(known[name], parameter) if name in known else parameter
        arguments.append(name)
    return Component(name=term.name, shape=term.shape, arguments=tuple(arguments), factors=factors, template=template)


def _merged(earlier: Parameter, later: Parameter) -> Parameter:
    """Return what two places of a description say together about one parameter."""
    if earlier.given and later.given and (earlier.value, earlier.fixed) != (later.value, later.fixed):
        said = [f"{one.value:g}{'' if one.fixed else '?'}" for one in (earlier, later)]
        raise WrongInput(f"params: model: {later.name} is one parameter, but {said[0]} here and {said[1]} there")
    if earlier.given:
        return earlier
    return later if later.given or (earlier.low is None and earlier.high is None) else earlier


def _arrays(template: tuple[Sequence[float], Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(template[0], float), np.asarray(template[1], float)


def _at(parameter: Parameter, value: float, *, fixed: bool) -> Parameter:
    """Return a parameter at a value that a person chose; limits give way."""
    low = parameter.low if parameter.low is None or parameter.low < value else None
    high = parameter.high if parameter.high is None or parameter.high > value else None
    return dataclasses.replace(parameter, value=value, fixed=fixed, given=True, low=low, high=high)


def _constraints(given: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, tuple[float, float]]:
    result = {}
    for name, pair in given.items():
        if name not in known:
            raise WrongInput(f"params: constraints: the model has no parameter {name!r}. {near(name, known)}")
        try:
            mean, width = (float(one) for one in pair)
        except (TypeError, ValueError):
            raise WrongInput(f"params: constraints: {name}: [mean, width] is wanted, not {pair!r}") from None
        if not width > 0:
            raise WrongInput(f"params: constraints: {name}: the width {width:g} is not above 0")
        result[name] = (mean, width)
    return result


def _adjusted(
    known: Mapping[str, Parameter], name: str, bound: tuple[float, float] | None, given: Mapping[str, Any] | None
) -> Parameter:
    """Return a parameter after what the params say about it."""
    result = known[name]
    if bound is not None and not result.given:
        result = _at(result, bound[0], fixed=False)
    if given is None:
        return result
    if not isinstance(given, Mapping):
        raise WrongInput(
            f'params: parameters: {name}: {{"value": …, "limits": […], "fixed": …}} is wanted, not {given!r}'
        )
    for key in given:
        if key not in ("value", "limits", "fixed"):
            raise WrongInput(f"params: parameters: {name}: no key {key!r}. {near(key, ('value', 'limits', 'fixed'))}")
    try:
        low, high = (None if one is None else float(one) for one in given.get("limits", (result.low, result.high)))
        value = float(given.get("value", result.value))
    except (TypeError, ValueError):
        raise WrongInput(
            f"params: parameters: {name}: value: a number, limits: [number or null, number or null]"
        ) from None
    if "limits" in given and not (low is None or high is None or low < high):
        raise WrongInput(f"params: parameters: {name}: limits {low:g} and {high:g} are not in order")
    if "value" in given and ((low is not None and value < low) or (high is not None and value > high)):
        if "limits" in given:
            raise WrongInput(f"params: parameters: {name}: the value {value:g} is outside its limits")
        low, high = _at(result, value, fixed=False).low, _at(result, value, fixed=False).high
    value = min(max(value, -np.inf if low is None else low), np.inf if high is None else high)
    fixed = bool(given.get("fixed", result.fixed))
    return dataclasses.replace(
        result, value=value, low=low, high=high, fixed=fixed, given=result.given or "value" in given
    )
