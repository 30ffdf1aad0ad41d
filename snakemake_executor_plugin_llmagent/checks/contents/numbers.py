"""Numbers in documents that cannot be what their keys say: probabilities, errors, counts, cut flows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.conditions import failing_shares
from snakemake_executor_plugin_llmagent.checks.contents.flows import Cutflow, cutflows
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.checks.contents.sources import rows

SLACK = 1e-9
_Z = frozenset({"z_obs", "z_exp", "significance", "q0", "q0_obs", "z0"})
_TRUTH = frozenset({"truth", "true", "expected", "target", "reference", "injected"})
_P = frozenset({"p_value", "pvalue", "p_val", "p_values"})
_SHARE = frozenset({"efficiency", "efficiencies", "acceptance", "purity", "probability"})
_SIDES = frozenset({"low", "lower", "lo", "down", "dn", "minus", "neg", "left", "n"})
_UNLIKE = frozenset(
    {
        "loss",
        "gain",
        "difference",
        "delta",
        "change",
        "relative",
        "ratio",
        "correction",
        "effective",
        "log",
        "error",
        "errors",
        "err",
        "uncertainty",
        "n",
    }
)
_NO_CUMULATIVE = (
    r"n\s*[-−–]\s*1\b|each cut (alone|individual|by itself)|individual(ly)?\b|not cumulative|non-?cumulative|marginal"
)
MANY = 1000
FAILING = 0.01
"""If a larger share of the input does not fulfil a condition, something is left for it to remove."""


def cutflows_fall(case: Case) -> Iterable[Found]:
    """Events of a cut flow become fewer, and a cut cuts."""
    if mentions(case.text, _NO_CUMULATIVE):
        return
    for flow in cutflows(case):
        if flow.events is None or len(flow.events) < 2:
            continue
        rising = np.nonzero(np.diff(flow.events) > 0)[0]
        if len(rising):
            yield _rises(case, flow, int(rising[0]))
        for at in np.nonzero(np.diff(flow.events) == 0)[0]:
            if flow.events[at] >= MANY:
                yield _idle(case, flow, flow.names[at + 1])


def _idle(case: Case, flow: Cutflow, name: str) -> Found:
    """A cut that removes nothing, though the sentence says what it is, and the input has events that do not pass."""
    failing = max((share for _, share in failing_shares(case, name)), default=0.0)
    said = next((condition for condition, share in failing_shares(case, name) if share == failing), "")
    text = f"In the cut flow {flow.label} {shown(name)} removes no event"
    if failing > FAILING:
        return Found(
            check="cutflow.idle",
            message=f"{text}, though {failing:.1%} of the events in the input do not fulfil {said}. Look at the "
            "condition: the unit, `or` for `and`, the sign.",
        )
    return Found(
        check="cutflow.idle",
        warning=True,
        message=f"{text}. Can it ever be false (`or` for `and`, the sign, the unit), or was the input selected so "
        "already?",
    )


def _rises(case: Case, flow: Cutflow, at: int) -> Found:
    assert flow.events is not None
    name = flow.names[at + 1] if at + 1 < len(flow.names) else str(at + 1)
    return Found(
        check="cutflow.rises",
        warning=not flow.told_shape or mentions(case.text, r"categor|regions?\b|channels?\b"),
        message=f"The cut flow {flow.label} rises from {flow.events[at]:.0f} to {flow.events[at + 1]:.0f} events at "
        f"{shown(name)}. It is cumulative: each step counts the events that passed all cuts so far.",
    )


def probabilities(case: Case) -> Iterable[Found]:
    """p-values and areas under ROC curves lie between 0 and 1, and so do efficiencies."""
    for place in places(case):
        for key, name, value, certain in shares(place):
            if value < -SLACK or value > 1.0 + SLACK:
                percent = not certain and mentions(case.text, r"per ?cent|%|in units of|correction")
                if not percent:
                    yield Found(
                        check="probability.range",
                        warning=not certain,
                        message=f"{place.label(key)} is {value:.6g}, but {name} lies between 0 and 1.",
                    )


def shares(place: Place, *, fractions: bool = False) -> Iterator[tuple[str, str, float, bool]]:
    """The numbers of a mapping that lie between 0 and 1: key, what it is, value, whether there is no doubt about it.

    With `fractions` also those under names that may mean something else.
    """
    beside = {str(key).lower() for key in place.found}
    for key, found in place.found.items():
        lower, words = str(key).lower(), pieces(str(key))
        value = number(found.get("value") if isinstance(found, dict) else found)
        if value is None or set(words) & _UNLIKE or not words:
            continue
        if (
            lower in _P
            or lower.endswith(("_p_value", "_pvalue"))
            or (lower == "p" and "chi2" in beside)
            or (lower in ("p0", "p0_exp", "p") and beside & _Z)
        ):
            yield str(key), "a p-value", value, True
        elif words[-1] == "auc" or lower in ("auc_train", "auc_test", "roc_auc_score"):
            yield str(key), "an area under a ROC curve", value, True
        elif set(words) & _SHARE or (fractions and words[-1] in ("eff", "fraction") and words[0] not in ("n", "m")):
            yield str(key), "a share", value, False


def errors_positive(case: Case) -> Iterable[Found]:
    """Errors and numbers of events are not negative."""
    for place in places(case):
        for key, found in place.found.items():
            if set(pieces(str(key))) & (_SIDES - {"n"}):
                continue
            listed = numbers(found)
            value = number(found) if listed is None else float(np.nanmin(listed, initial=np.inf))
            if value is None or not value < 0:
                continue
            if _is_error(str(key), place):
                yield Found(
                    check="error.negative",
                    message=f"{place.label(str(key))} is {value:.6g}: an error is not negative.",
                )
            elif key in ("n_events", "events") and listed is None:
                yield Found(
                    check="error.negative",
                    message=f"{place.label(str(key))} is {value:.6g}: a number of events is not negative.",
                )
            elif key in ("yield", "counts") and rows(case):
                yield Found(
                    check="error.negative",
                    warning=True,
                    message=f"{place.label(str(key))} is {value:.6g}. Can the sum of these weights be negative?",
                )


def _is_error(key: str, place: Place) -> bool:
    """Whether a number is the error of another one beside it."""
    if _TRUTH & {str(one).lower() for one in place.found}:
        return False  # a deviation may go by this name
    if key in ("error", "errors", "err", "uncertainty"):
        return any(
            one in place.found for one in ("value", "values", "yield", "events", "counts", "contents", "n_events")
        )
    stem = next(
        (key.removesuffix(end) for end in ("_error", "_errors", "_err", "_uncertainty") if key.endswith(end)), ""
    )
    return bool(stem) and stem in place.found
