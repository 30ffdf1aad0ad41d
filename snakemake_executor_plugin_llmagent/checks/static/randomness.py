"""Random numbers: drawn though nobody asked for any, or from a state that is another in every run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.documents import leaves
from snakemake_executor_plugin_llmagent.checks.static.flow import GENERATORS
from snakemake_executor_plugin_llmagent.checks.static.makers import Draw, draws
from snakemake_executor_plugin_llmagent.checks.static.uses import only_plotted, starts_a_fit
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_SEEDING = {
    "numpy": ("numpy.random.seed",),
    "random": ("random.seed",),
    "torch": ("torch.manual_seed", "torch.random.manual_seed"),
    "tensorflow": ("tensorflow.random.set_seed",),
    "rvs": ("numpy.random.seed",),
}
"""Whose state → what seeds it."""
_SEEDS_ALL = ("seed_everything", "set_random_seed")
_SEED_WORDS = frozenset({"seed", "random_state", "rng"})
_TAKE_A_SEED = frozenset(
    {
        "train_test_split", "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier",
        "ExtraTreesRegressor", "MLPClassifier", "MLPRegressor", "ShuffleSplit", "StratifiedShuffleSplit", "resample",
        "differential_evolution", "dual_annealing", "basinhopping", "bootstrap", "permutation_test",
    }
)  # fmt: skip
"""Functions and classes of scikit-learn and scipy that draw random numbers, and take a seed."""
_DATA = re.compile(r"data|(data_|bin_|event_)?counts?|obs(erved)?(_counts)?|n_(obs|data|observed)|events|masses")
_TAKE_A_SEED_TO_SHUFFLE = frozenset({"KFold", "StratifiedKFold"})
_LAYERS = frozenset({"Linear", "Conv1d", "Conv2d", "Bilinear", "LSTM", "GRU", "Embedding", "MultiheadAttention"})
_KERAS_LAYERS = frozenset({"Dense", "Conv1D", "Conv2D", "LSTM", "GRU", "Embedding"})
_OTHER_EVERY_TIME = ("time.", "datetime.", "secrets.", "uuid.", "os.getpid", "os.urandom", "numpy.random.randint")


@on_tree
def draws_random_numbers(candidate: Candidate) -> Iterable[Finding]:
    """Random numbers are drawn where the rule asks for them, from generators with a fixed seed."""
    for node, what in _without_seed(candidate):
        text = f"{what}, so that the script makes other numbers in every run. Give a fixed seed, as a named constant."
        yield candidate.finding(node, check="script.random", message=text)
    if asked.asks_for_random(candidate.trial) or not candidate.trial.job.inputs:
        return
    excused = asked.lists_a_random_method(candidate.trial) or asked.asks_for_learning(candidate.trial)
    for found in draws(candidate):
        node = found.call
        if found.orders or only_plotted(candidate.script, node) or starts_a_fit(candidate.script, node):
            continue
        derived = any(map(candidate.flow.content, found.arguments))
        sure = _replaces_data(candidate, found) if derived else found.sized or _is_data(candidate, node)
        if derived or not sure:
            text = "random numbers enter what is computed, though the rule asks for none. If there is a way without "
            text += "them, take it; otherwise list the method as a decision."
        else:
            text = "these random numbers come from no input, and the rule asks for none. Compute from what the inputs "
            text += "hold; where that is not possible, let the script fail."
        severity = Severity.ERROR if sure and not excused else Severity.WARNING
        yield candidate.finding(node, check="script.random", message=text, severity=severity)


def _replaces_data(candidate: Candidate, found: Draw) -> bool:
    """Whether draws around numbers of the inputs take their place: `mass = rng.normal(mass, 1)`, or `data = ...`."""
    statement = candidate.script.statement(found.call)
    if not isinstance(statement, ast.Assign):
        return False
    names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
    drawn_from = {part.id for argument in found.arguments for part in ast.walk(argument) if isinstance(part, ast.Name)}
    return bool(names & drawn_from) or any(_DATA.fullmatch(name.lower()) for name in names)


def _is_data(candidate: Candidate, node: ast.Call) -> bool:
    """Whether a single random number becomes one of many, or a result: not where a search starts again."""
    script = candidate.script
    statement = script.statement(node)
    collects = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)
    for outer in script.ancestors(node):
        if isinstance(outer, collects):
            return True
        if isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute) and outer.func.attr == "append":
            return True
    names = {part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return any(names.intersection(leaf.names) or node in ast.walk(leaf.value) for leaf in leaves(script))


# --- seeds ----------------------------------------------------------------------------------------------------------


def _without_seed(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    called = {candidate.script.dotted(call.func): call for call in candidate.script.calls}
    all_seeded = any(name.rpartition(".")[2] in _SEEDS_ALL for name in called)
    if not all_seeded:
        yield from _generators(candidate)
        seeded = {source for source, names in _SEEDING.items() if any(called.get(name) for name in names)}
        yield from _draws_without_seed(candidate, seeded)
        if "numpy" not in seeded:
            yield from _libraries(candidate)
        yield from _networks(candidate, seeded)
    for names in _SEEDING.values():
        for name in names:
            if (call := called.get(name)) is not None and not _is_fixed(candidate, _seed(call)):
                yield call, "the seed is missing or is another one in every run"


def _generators(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    for call in candidate.script.calls:
        name = candidate.script.dotted(call.func)
        if name == "random.SystemRandom":
            yield call, "this generator cannot be seeded"
        if name not in GENERATORS or name.startswith(("ROOT.", "torch.")) or name == "random.SystemRandom":
            continue
        seed = _seed(call)
        if name == "numpy.random.Generator" and isinstance(seed, ast.Call):
            seed = _seed(seed)
        if not _is_fixed(candidate, seed):
            yield call, "the generator has no seed, or another one in every run"


def _draws_without_seed(candidate: Candidate, seeded: set[str]) -> Iterator[tuple[ast.AST, str]]:
    told: set[str] = set()
    for found in draws(candidate):
        source = found.source
        names = source == "random" and _makes_a_name(candidate, found.call)
        if source in ("generator", *seeded, *told) or names or _own_seed(candidate, found):
            continue
        told.add(source)
        yield found.call, "nothing seeds this random number generator"


def _makes_a_name(candidate: Candidate, node: ast.AST) -> bool:
    """Whether a random number goes into a text, such as the name of a temporary file."""
    return any(
        isinstance(outer, ast.JoinedStr)
        or (isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute) and outer.func.attr == "format")
        for outer in candidate.script.ancestors(node)
    )


def _own_seed(candidate: Candidate, found: Draw) -> bool:
    words = {one.arg: one.value for one in found.call.keywords}
    given = words.get("random_state", words.get("generator"))
    return None in words or (given is not None and _is_fixed(candidate, given))


def _libraries(candidate: Candidate) -> Iterator[tuple[ast.AST, str]]:
    for call in candidate.script.calls:
        dotted = candidate.script.dotted(call.func)
        module, _, name = dotted.rpartition(".")
        words = {one.arg: one.value for one in call.keywords}
        known = module.startswith(("sklearn", "scipy"))
        takes = (known and name in _TAKE_A_SEED and not _is_false(words.get("shuffle"))) or (
            known and name in _TAKE_A_SEED_TO_SHUFFLE and _is_true(words.get("shuffle"))
        )
        samples = isinstance(call.func, ast.Attribute) and call.func.attr == "sample" and {"frac", "n"} & words.keys()
        if samples and "pandas" not in candidate.script.packages:
            continue
        given = [words[word] for word in _SEED_WORDS if word in words]
        fixed = [seed for seed in given if _is_fixed(candidate, seed)]
        if (takes or samples) and None not in words and not fixed:
            yield call, f"`{name or 'sample'}` draws random numbers and is given no seed (`random_state`)"


def _networks(candidate: Candidate, seeded: set[str]) -> Iterator[tuple[ast.AST, str]]:
    script = candidate.script
    if script.attributes["load_state_dict"] or script.attributes["load_model"] or script.attributes["load_weights"]:
        return
    for call in script.calls:
        module, _, name = script.dotted(call.func).rpartition(".")
        torch = module == "torch.nn" and name in _LAYERS and "torch" not in seeded
        keras = module.endswith("keras.layers") and name in _KERAS_LAYERS and "tensorflow" not in seeded
        if torch or keras:
            yield call, "a network starts from random weights, and nothing seeds them"
            return


def _seed(call: ast.Call) -> ast.expr | None:
    words = [one.value for one in call.keywords if one.arg in ("seed", "a", "x")]
    spread = [one.value for one in call.keywords if one.arg is None]
    return next(iter((*call.args, *words, *spread)), None)


def _is_fixed(candidate: Candidate, seed: ast.expr | None, depth: int = 4) -> bool:
    """Whether a seed is there and the same in every run."""
    script = candidate.script
    if seed is None or (isinstance(seed, ast.Constant) and seed.value is None):
        return False
    for node in ast.walk(seed):
        if isinstance(node, ast.Call):
            name = script.dotted(node.func)
            if f"{name}.".startswith(_OTHER_EVERY_TIME) or (name == "hash" and _hashes_text(candidate, node)):
                return False
        if isinstance(node, ast.Name) and depth:
            values = [bind.value for bind in script.binds.get(node.id, ()) if bind.kind == "assign"]
            calls = [value for value in values if isinstance(value, ast.Call)]
            if len(values) == 1 and calls and not _is_fixed(candidate, calls[0], depth - 1):
                return False
    return True


def _hashes_text(candidate: Candidate, call: ast.Call) -> bool:
    """Whether a text is hashed: Python salts that in every process."""
    return any(
        (isinstance(node, ast.Constant) and isinstance(node.value, str))
        or candidate.script.dotted(node).startswith(("snakemake.wildcards", "snakemake.input", "str"))
        or isinstance(node, ast.JoinedStr)
        for argument in call.args
        for node in ast.walk(argument)
    )


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
