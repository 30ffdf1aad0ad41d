"""Where values come from: which names hold numbers of the inputs, and which are objects read from a file.

Names are followed through assignments, loops, calls of the script's own functions and changes in place, without regard
to order and scope. So more is taken to come from the inputs than does: who asks for what does not is not misled.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from snakemake_executor_plugin_llmagent.checks.static.source import Bind, Function, Script

OPENERS: Mapping[str, str] = {
    "uproot.open": "root", "uproot.iterate": "root", "uproot.concatenate": "root", "uproot.dask": "root",
    "uproot.lazy": "root", "ROOT.TFile": "root", "ROOT.TFile.Open": "root", "ROOT.RDataFrame": "root",
    "pandas.read_parquet": "parquet", "polars.read_parquet": "parquet", "polars.scan_parquet": "parquet",
    "pyarrow.parquet.read_table": "parquet", "pyarrow.parquet.ParquetFile": "parquet",
    "pyarrow.parquet.read_schema": "parquet", "awkward.from_parquet": "parquet",
    "pandas.read_csv": "csv", "pandas.read_table": "csv", "polars.read_csv": "csv",
    "numpy.loadtxt": "csv", "numpy.genfromtxt": "csv",
    "numpy.load": "npz", "h5py.File": "hdf5", "pandas.read_hdf": "hdf5",
    "pandas.read_json": "json", "json.load": "json", "json.loads": "json",
    "yaml.safe_load": "yaml", "yaml.load": "yaml",
    "open": "text", "gzip.open": "text", "io.open": "text",
}  # fmt: skip
"""Function → format of what it opens."""
_PATH_OPENERS = {"open": "text", "read_text": "text", "read_bytes": "text"}
_SAME_OBJECT = frozenset(
    {
        "arrays", "array", "iterate", "items", "values", "get", "copy", "query", "dropna", "head", "to_pandas",
        "astype", "sort_values", "compute", "read", "column", "select", "collect", "to_numpy", "to_pylist", "Get",
        "read_row_group", "iter_batches", "reset_index", "filter", "loc", "iloc",
    }
)  # fmt: skip
"""Methods and attributes of an object read from a file that give the same data again."""
_JOINED = frozenset({"pandas.concat", "awkward.concatenate", "polars.concat", "pyarrow.concat_tables"})
_OF_SHAPE = frozenset({"shape", "size", "ndim", "dtype", "nbytes"})
_LIKE = frozenset({"ones_like", "zeros_like", "empty_like"})
_LATER = frozenset({"full", "full_like"})
GIVEN: Final = frozenset({"input", "params", "config", "wildcards", "threads", "resources"})
"""Attributes of `snakemake` that hold what a job is given."""
_SIZES = frozenset({"size", "shape", "dtype", "n"})
GENERATORS: Final = frozenset(
    {
        "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator", "random.Random",
        "random.SystemRandom", "ROOT.TRandom3", "ROOT.TRandom", "torch.Generator",
    }
)  # fmt: skip
"""What makes a random number generator."""
_CHANGING = (ast.Assign, ast.AugAssign, ast.Call, ast.Expr)
NOT_DATA: Final = frozenset({"rng", "random_state", "generator", "snakemake"})
"""Names of random number generators and of the job: they may take in what they are given, but do not hold it."""


class Flow:
    """Follows values through a script."""

    def __init__(self, script: Script, sources: frozenset[str] = GIVEN) -> None:
        """Follow them until nothing is added; `sources` are the attributes of `snakemake` that they come from."""
        self._script = script
        self._sources = sources
        self._content: set[str] = set()
        self._giving: set[ast.AST] = set()
        self._opened: dict[str, set[str]] = {}
        self._opening: dict[ast.AST, set[str]] = {}
        self._not_data = NOT_DATA | {
            name for name, binds in script.binds.items() if any(_is_generator(script, bind.value) for bind in binds)
        }
        self._given: set[str] = self._unknown_parameters()
        self._binds = [bind for binds in script.binds.values() for bind in binds]
        self._changing = [node for node in script.nodes if isinstance(node, _CHANGING)]
        self._functions = [function for functions in script.functions.values() for function in functions]
        while self._grow():
            pass

    # --- asking -------------------------------------------------------------------------------------------------

    def content(self, node: ast.AST | None) -> bool:
        """Whether an expression holds numbers or texts of the inputs or of the rule, more than just their number."""
        stack = [] if node is None else [node]
        while stack:
            each = stack.pop()
            if self._is_source(each):
                return True
            stack += self._parts(each)
        return False

    def opened(self, node: ast.AST | None) -> frozenset[str]:
        """The formats of the input that an expression is an object of, empty if it is none."""
        if isinstance(node, ast.Name):
            return frozenset(self._opened.get(node.id, ()))
        if isinstance(node, ast.Subscript):
            return self.opened(node.value)
        if isinstance(node, ast.Attribute):
            return self.opened(node.value) if node.attr in _SAME_OBJECT else frozenset()
        if isinstance(node, ast.Call):
            return self._opened_by(node)
        if isinstance(node, ast.IfExp):
            return self.opened(node.body) | self.opened(node.orelse)
        return frozenset()

    def opens(self, call: ast.Call) -> str:
        """The format that a call opens an input in, empty if it opens none."""
        if any(self.content(argument) for argument in (*call.args, *(one.value for one in call.keywords))):
            mode = next((one.value for one in call.keywords if one.arg == "mode"), None)
            if mode is None and len(call.args) > 1:
                mode = call.args[1]
            form = OPENERS.get(self._script.dotted(call.func), "")
            written = form == "text" and isinstance(mode, ast.Constant) and str(mode.value)[:1] in ("w", "a", "x")
            return "" if written else form
        if isinstance(call.func, ast.Attribute) and call.func.attr in _PATH_OPENERS and self.content(call.func.value):
            return "" if call.args and "r" not in str(self._script.constant(call.args[0])) else "text"
        return ""

    # --- growing ------------------------------------------------------------------------------------------------

    def _grow(self) -> bool:
        before = self._size()
        # Once forwards, once backwards: a chain of names is followed in one of them.
        for turn in (1, -1):
            for bind in self._binds[::turn]:
                self._take(bind)
            for node in self._changing[::turn]:
                self._change(node)
                if isinstance(node, ast.Call):
                    self._hand_over(node)
            for function in self._functions[::turn]:
                self._give(function)
        return before != self._size()

    def _size(self) -> tuple[int, ...]:
        return (len(self._content), len(self._giving), len(self._opening), sum(map(len, self._opened.values())))

    def _take(self, bind: Bind) -> None:
        if bind.name not in self._not_data and (bind.value is not None and self.content(bind.value)):
            self._content.add(bind.name)
        if bind.name in self._given and bind.kind == "parameter":
            self._content.add(bind.name)
        if bind.kind != "augment" and (formats := self.opened(bind.value)):
            self._opened.setdefault(bind.name, set()).update(formats)

    def _change(self, node: ast.AST) -> None:
        """What is stored into, or handed to, holds what was stored."""
        if isinstance(node, ast.Assign | ast.AugAssign) and self.content(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                self._mark(target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changed = [node.func.value, *(one.value for one in node.keywords if one.arg == "out")]
            for target in changed if any(map(self.content, _arguments(node))) else ():
                self._mark(target)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            given = [*_arguments(node.value)]
            if any(map(self.content, given)) and not self._only_shows(node.value):
                for argument in given:
                    self._mark(argument)

    def _only_shows(self, call: ast.Call) -> bool:
        name = self._script.dotted(call.func)
        return name == "print" or name.partition(".")[0] in ("matplotlib", "mplhep", "json", "logging")

    def _mark(self, target: ast.AST) -> None:
        while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
            if isinstance(target, ast.Attribute) and self._script.dotted(target).partition(".")[0] == "self":
                self._content.add(f".{target.attr}")
                return
            target = target.value
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._mark(part)
        elif isinstance(target, ast.Name) and target.id not in self._script.imports and target.id not in self._not_data:
            self._content.add(target.id)

    def _hand_over(self, call: ast.Call) -> None:
        """What a call gives to the parameters of a function of the script."""
        for function in self._script.called(call):
            for name, value in parameters(call, function):
                if name not in self._not_data and self.content(value):
                    self._content.add(name)
                if formats := self.opened(value):
                    self._opened.setdefault(name, set()).update(formats)

    def _give(self, function: Function) -> None:
        for value in self._script.returns(function):
            if self.content(value):
                self._giving.add(function)
            if formats := self.opened(value):
                self._opening.setdefault(function, set()).update(formats)

    def _unknown_parameters(self) -> set[str]:
        """Parameters of functions that are handed on: nobody sees what they are called with."""
        called = {call.func for call in self._script.calls}
        handed = {
            node.id if isinstance(node, ast.Name) else node.attr
            for node in self._script.nodes
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and node not in called
        }
        callbacks: list[Function | ast.Lambda] = [*self._script.all(ast.Lambda)]
        for name, functions in self._script.functions.items():
            callbacks += [each for each in functions if name in handed or each.decorator_list]
        return {
            bind.name
            for binds in self._script.binds.values()
            for bind in binds
            if bind.kind == "parameter" and bind.statement in callbacks and bind.name not in ("self", *self._not_data)
        }

    # --- expressions --------------------------------------------------------------------------------------------

    def _is_source(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return isinstance(node.ctx, ast.Load) and node.id in self._content
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "snakemake":
                return node.attr in self._sources
            return f".{node.attr}" in self._content and self._script.dotted(node).partition(".")[0] == "self"
        return isinstance(node, ast.Call) and any(each in self._giving for each in self._script.called(node))

    def _parts(self, node: ast.AST) -> Iterable[ast.AST]:
        """The parts of an expression that its numbers come from: not those that only give their number or shape."""
        if isinstance(node, ast.Attribute) and node.attr in _OF_SHAPE:
            return ()
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else self._script.dotted(node.func)
            if name == "len" or name in _LIKE:
                return ()
            keywords = [one.value for one in node.keywords if one.arg not in _SIZES]
            return (node.func, *(node.args[1:] if name in _LATER else node.args), *keywords)
        return ast.iter_child_nodes(node)

    def _opened_by(self, call: ast.Call) -> frozenset[str]:
        form = self.opens(call)
        if form:
            return frozenset({form})
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SAME_OBJECT:
            return self.opened(call.func.value)
        if self._script.dotted(call.func) in _JOINED and call.args:
            first = call.args[0]
            parts = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
            return frozenset(form for part in parts for form in self.opened(part))
        return frozenset(form for each in self._script.called(call) for form in self._opening.get(each, ()))


def _is_generator(script: Script, value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and script.dotted(value.func) in GENERATORS


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (one.value for one in call.keywords)


def parameters(call: ast.Call, function: Function) -> Iterator[tuple[str, ast.expr]]:
    """The parameters of a function and what a call gives to them; what is spread (`*`) goes to all."""
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    for position, value in enumerate(call.args):
        if isinstance(value, ast.Starred):
            yield from ((name, value.value) for name in names[position:])
        elif position < len(names):
            yield names[position], value
        elif arguments.vararg is not None:
            yield arguments.vararg.arg, value
    known = {*names, *(each.arg for each in arguments.kwonlyargs)}
    for keyword in call.keywords:
        if keyword.arg is None:
            yield from ((name, keyword.value) for name in known)
        elif keyword.arg in known:
            yield keyword.arg, keyword.value
        elif arguments.kwarg is not None:
            yield arguments.kwarg.arg, keyword.value
