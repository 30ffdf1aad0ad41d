"""Models as HS3 0.2 JSON (HEP Statistics Serialization Standard), written and read back without loss.

Written are distributions of the standard that ROOT imports too: `crystalball_doublesided_dist`, `gaussian_dist`,
`exponential_dist` (exp(-c x); our `lam` = -c by a `generic_function`), `chebychev_dist`, `bernstein_poly_dist`,
`histogram_dist`, `generic_dist` with an expression for the rest, and an extended `mixture_dist` per category. Yields
that are products are `product` functions, constraints `aux_distributions` of the likelihood. Nothing is pickled and
no text is executed: what the standard has no words for (which of our shapes an expression is) stands under `misc`.
"""

from collections.abc import Mapping
from typing import Any

from wrappers.common.job import WrongInput
from wrappers.common.model import Category, Component, Model, Parameter

VERSION_OF_HS3 = "0.2"
KEY = "phys_zfit_fit"
INFINITE = 1e30
"""ROOT's word for no limit, as JSON has none."""


def write_hs3(model: Model) -> dict[str, Any]:
    """Return a model as an HS3 dictionary: distributions, functions, domains, parameter points, likelihoods.

    The likelihood `likelihood` names a data entry per category, called `data_<category>`, which the dictionary does not
    hold: the model is independent of the data.
    """
    distributions: list[dict[str, Any]] = []
    functions: list[dict[str, Any]] = []
    for category in model.categories:
        coefficients = []
        for part in category.components:
            distributions.append(_distribution(part, category, functions))
            coefficients.append(_coefficient(part, category, functions))
        names = [f"{category.name}_{part.name}" for part in category.components]
        mixture = {"name": category.name, "type": "mixture_dist", "summands": names, "coefficients": coefficients}
        distributions.append({**mixture, "extended": True})
    for name, (_, width) in model.constraints.items():
        gauss = {
            "name": f"constraint_{name}",
            "type": "gaussian_dist",
            "x": f"{name}_measured",
            "mean": name,
            "sigma": width,
        }
        distributions.append(gauss)
    categories = [one.name for one in model.categories]
    likelihood = {"name": "likelihood", "distributions": categories, "data": [f"data_{name}" for name in categories]}
    if model.constraints:
        likelihood["aux_distributions"] = [f"constraint_{name}" for name in model.constraints]
    return {
        "metadata": {"hs3_version": VERSION_OF_HS3},
        "distributions": distributions,
        "functions": functions,
        "domains": [{"name": "default_domain", "type": "product_domain", "axes": _axes(model)}],
        "parameter_points": [{"name": "default_values", "parameters": _points(model)}],
        "likelihoods": [likelihood],
        "misc": {KEY: _misc(model)},
    }


def _axes(model: Model) -> list[dict[str, Any]]:
    axes: dict[str, dict[str, Any]] = {}
    for one in model.categories:
        axes[one.observable] = {"name": one.observable, "min": one.low, "max": one.high}
    for name, parameter in model.parameters.items():
        low = -INFINITE if parameter.low is None else parameter.low
        axes[name] = {"name": name, "min": low, "max": INFINITE if parameter.high is None else parameter.high}
    return list(axes.values())


def _points(model: Model) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for name, one in model.parameters.items():
        points.append({"name": name, "value": one.value, **({"const": True} if one.fixed else {})})
    points += [
        {"name": f"{name}_measured", "value": mean, "const": True} for name, (mean, _) in model.constraints.items()
    ]
    observables = {one.observable: 0.5 * (one.low + one.high) for one in model.categories}
    return [*points, *[{"name": name, "value": value} for name, value in observables.items()]]


def _misc(model: Model) -> dict[str, Any]:
    return {
        "categories": [
            {
                "name": one.name, "observable": one.observable, "range": [one.low, one.high],
                "components": [
                    {
                        "name": part.name, "shape": part.shape,
                        "parameters": list(part.arguments), "factors": list(part.factors),
                    }
                    for part in one.components
                ],
            }
            for one in model.categories
        ],
        "parameters": list(model.parameters),
    }  # fmt: skip


def _coefficient(part: Component, category: Category, functions: list[dict[str, Any]]) -> Any:
    """The name of what says how many events are expected; products become functions."""
    if len(part.factors) == 1 and isinstance(part.factors[0], str):
        return part.factors[0]
    name = f"{category.name}_{part.name}_events"
    functions.append({"name": name, "type": "product", "factors": list(part.factors)})
    return name


def _distribution(part: Component, category: Category, functions: list[dict[str, Any]]) -> dict[str, Any]:
    """One component's distribution; arguments that need an expression become functions."""
    named = {"name": f"{category.name}_{part.name}"}
    x, names = category.observable, part.arguments
    if part.shape == "dscb":
        keys = ("m0", "sigma_L", "alpha_L", "n_L", "alpha_R", "n_R")
        given = dict(zip(keys, names, strict=True))
        return {**named, "type": "crystalball_doublesided_dist", "m": x, **given, "sigma_R": names[1]}
    if part.shape == "cb":
        return {
            **named,
            "type": "crystalball_dist",
            "m": x,
            **dict(zip(("m0", "sigma", "alpha", "n"), names, strict=True)),
        }
    if part.shape == "gauss":
        return {**named, "type": "gaussian_dist", "x": x, "mean": names[0], "sigma": names[1]}
    if part.shape == "exp":
        slope = f"{named['name']}_c"
        functions.append({"name": slope, "type": "generic_function", "expression": f"-1*{names[0]}"})
        return {**named, "type": "exponential_dist", "x": x, "c": slope}
    if part.shape.startswith("poly"):
        return {**named, "type": "chebychev_dist", "x": x, "coefficients": list(names)}
    if part.shape.startswith("bern"):
        return {**named, "type": "bernstein_poly_dist", "x": x, "coefficients": [1.0, *names]}
    if part.shape == "template":
        assert part.template is not None
        edges, contents = part.template
        data = {"axes": [{"name": x, "edges": list(edges)}], "contents": list(contents)}
        return {**named, "type": "histogram_dist", "data": data}
    if part.shape == "power":
        return {**named, "type": "generic_dist", "expression": f"({x}/{category.low!r})^{names[0]}"}
    z = f"((2*{x}-{category.low + category.high!r})/{category.high - category.low!r})"
    terms = "+".join(f"{name}*{z}^{power}" if power > 1 else f"{name}*{z}" for power, name in enumerate(names, start=1))
    return {**named, "type": "generic_dist", "expression": f"exp({terms})"}


def read_hs3(dictionary: Mapping[str, Any]) -> Model:
    """Return the model that `write_hs3` wrote; all its parameters count as given.

    Values, limits and what is fixed come from `parameter_points` and `domains`, so they may be edited there.

    Raises:
        WrongInput: if the dictionary is of another origin, or contradicts itself.
    """
    try:
        misc = dictionary["misc"][KEY]
        axes = {one["name"]: one for domain in dictionary["domains"] for one in domain["axes"]}
        points = {one["name"]: one for one in dictionary["parameter_points"][0]["parameters"]}
        distributions = {one["name"]: one for one in dictionary["distributions"]}
        model = Model(
            categories=tuple(_category(one, distributions) for one in misc["categories"]),
            parameters={name: _parameter(name, points[name], axes.get(name, {})) for name in misc["parameters"]},
            constraints={
                str(one["mean"]): (float(points[one["x"]]["value"]), float(one["sigma"]))
                for name in dictionary["likelihoods"][0].get("aux_distributions", [])
                for one in [distributions[name]]
            },
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise WrongInput(f"not an HS3 model that phys/zfit/fit wrote: {type(error).__name__}: {error}") from error
    written = {one["name"]: one for one in write_hs3(model)["distributions"]}
    for name, one in distributions.items():
        if written.get(name) != one:
            raise WrongInput(f"HS3: the distribution {name!r} does not agree with what is under misc: {KEY}")
    return model


def _category(one: Mapping[str, Any], distributions: Mapping[str, Any]) -> Category:
    components = []
    for part in one["components"]:
        template = None
        if part["shape"] == "template":
            data = distributions[f"{one['name']}_{part['name']}"]["data"]
            template = (tuple(map(float, data["axes"][0]["edges"])), tuple(map(float, data["contents"])))
        factors = tuple(factor if isinstance(factor, str) else float(factor) for factor in part["factors"])
        arguments = tuple(map(str, part["parameters"]))
        components.append(
            Component(name=part["name"], shape=part["shape"], arguments=arguments, factors=factors, template=template)
        )
    low, high = map(float, one["range"])
    return Category(name=one["name"], observable=one["observable"], low=low, high=high, components=tuple(components))


def _parameter(name: str, point: Mapping[str, Any], axis: Mapping[str, Any]) -> Parameter:
    low, high = float(axis.get("min", -INFINITE)), float(axis.get("max", INFINITE))
    return Parameter(
        name=name, value=float(point["value"]), low=None if low <= -INFINITE else low,
        high=None if high >= INFINITE else high, fixed=bool(point.get("const", False)), given=True,
    )  # fmt: skip
