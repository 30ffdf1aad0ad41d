"""What a rule asks for, as far as its words tell: the sentence, its context, params and decisions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from snakemake_executor_plugin_llmagent.protocols import Trial

_RANDOM = re.compile(
    r"\b(random|seeds?\b|toys?\b|pseudo[- ]?(data|experiment|event|sample)|bootstrap|smear|shuffl|resampl|subsampl"
    r"|sampling\b|jitter|noise|permut|stochastic"
    r"|perturb|dropout|mcmc|markov|emcee|hit-and-miss|drawn? from"
    r"|(generat|simulat|draw|throw)(e|ing)?\s+(\w+[ -]){0,3}"
    r"(events?|data|datasets?|toys?|samples?|decays|values|numbers)\b"
    r"|monte[ -]carlo (integra|toy|experiment|pseudo|study|trial)|mc (integra|toy))",
    re.IGNORECASE,
)
_LEARNING = re.compile(
    r"\b(train|learn|classif|neural|network|autoencod|boosted|bdt\b|mlp\b|cross-?valid|split)", re.IGNORECASE
)
_METHOD = re.compile(
    r"\b(random|toys?\b|pseudo[- ]?(data|experiment)|bootstrap|smear|shuffl|resampl|subsampl|jitter|permut"
    r"|monte[ -]carlo|restart|sampling\b|mcmc)",
    re.IGNORECASE,
)
_WEIGHTS = re.compile(r"\b(?!unweight)\w*weight(s|ed|ing)?\b", re.IGNORECASE)
_NO_WEIGHTS = re.compile(
    r"\b(no|without|ignor\w+|not use|unit|equal|neglect\w*) (the |any |its |event |all )*weights?\b"
    r"|weights? (are|is|all|of) (all )?(one\b|1\b|equal\b|ignored|not (used|applied|needed))|unweighted",
    re.IGNORECASE,
)
_OPTIONAL = re.compile(
    r"\b(optional|default|if (it is |they are )?(present|available|there|given)|if (it|they|one) (exists?|has|have)"
    r"|where (available|present|it exists)|missing(?! (transverse|energy|momentum|e_?t|p_?t|mass))|absent"
    r"|may (not )?(be|have|lack|exist)|not every|not all|some (files|of)|otherwise|or else|lacks?"
    r"|without (such|weights?)|(1|one) (for|in) (the )?data|data: (1|one))\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def words(trial: Trial) -> str:
    """Everything that a rule says, as one text."""
    spec, job = trial.spec, trial.job
    given = [f"{name} {value}" for values in (job.params, spec.decide) for name, value in values.items()]
    return "\n".join((spec.text, *(document.text for document in spec.context), *spec.params, *given))


def asks_for_random(trial: Trial) -> bool:
    """Whether a rule speaks of anything that takes random numbers for data."""
    return bool(_RANDOM.search(words(trial).replace("_", " ")))


def asks_for_learning(trial: Trial) -> bool:
    """Whether a rule speaks of learning, which takes random numbers to split and to start, but none for data."""
    return bool(_LEARNING.search(words(trial).replace("_", " ")))


def lists_a_random_method(trial: Trial) -> bool:
    """Whether the author listed a method that takes random numbers among its decisions; a seed alone is none."""
    return bool(_METHOD.search(" ".join(_texts(trial.decisions)).replace("_", " ")))


def speaks_of_weights(trial: Trial) -> bool:
    """Whether a rule says that events have weights to be used."""
    text = words(trial)
    return bool(_WEIGHTS.search(text)) and not _NO_WEIGHTS.search(text)


def denies_weights(trial: Trial) -> bool:
    """Whether a rule says that weights are not to be used."""
    return bool(_NO_WEIGHTS.search(words(trial)))


def allows_absence(trial: Trial) -> bool:
    """Whether a rule says of anything that it may not be there."""
    return bool(_OPTIONAL.search(words(trial)))


def numbers(trial: Trial) -> frozenset[float]:
    """The numbers that a rule states, or that the author listed as decisions."""
    return frozenset((*numbers_in(words(trial)), *_numbers(trial.decisions)))


def numbers_in(text: str) -> frozenset[float]:
    """The numbers in a text."""
    return frozenset(float(found.replace(",", "")) for found in _NUMBER.findall(text) if found.strip(",.+-"))


def names(trial: Trial, name: str) -> bool:
    """Whether the sentence or a file of its context has a name, as it is or by its words: `max_pt`, or max and pt."""
    text = "\n".join((trial.spec.text, *(document.text for document in trial.spec.context))).lower()
    if re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text):
        return True
    said = {part for word in re.findall(r"\w+", text) for part in (word, word.removesuffix("s"))}
    parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", name)]
    return bool(parts) and all(part in said for part in parts)


def is_given(number: float, known: Iterable[float]) -> bool:
    """Whether a number is one of those known, also as per cent."""
    return any(
        abs(number * scale - each) <= 1e-9 * max(1.0, abs(each)) for each in known for scale in (1.0, 100.0, -1.0)
    )


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (str(key), *_texts(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


def _numbers(value: object) -> Iterable[float]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
