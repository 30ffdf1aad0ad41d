from __future__ import annotations

import ast

import pytest

from snakemake_executor_plugin_llmagent.checks.static.onward import End, follow
from snakemake_executor_plugin_llmagent.checks.static.scopes import Scopes
from snakemake_executor_plugin_llmagent.checks.static.source import Script


def scopes(source: str) -> list[str]:
    """In which scope each `x` is looked up that is read, in the order of the text: its name, or its kind."""
    script = Script(source)
    found = Scopes(script)
    names = sorted(script.loads["x"], key=lambda node: (node.lineno, node.col_offset))
    return [
        "module" if scope is None else getattr(scope, "name", type(scope).__name__)
        for scope in (found.variable(name).scope for name in names)
    ]


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("x = 1\nprint(x)\n", ["module"]),
        ("x = 1\ndef f():\n    return x\n", ["module"]),
        ("x = 1\ndef f():\n    x = 2\n    return x\nprint(x)\n", ["f", "module"]),
        ("def f(x):\n    def g():\n        return x\n    return g\n", ["f"]),
        ("def f(x, y=x):\n    return x\n", ["module", "f"]),
        ("def f():\n    global x\n    x = 1\n    return x\n", ["module"]),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n        return x\n", ["f"]),
        ("x = [x for x in x]\n", ["ListComp", "module"]),
        ("x = 3\ny = [x for _ in 'ab' for x in x]\n", ["ListComp", "ListComp"]),
        ("y = {x: x for x in 'ab'}\nz = lambda x: x\n", ["DictComp", "DictComp", "Lambda"]),
        ("class C:\n    x = 1\n    y = x\n    def f(self):\n        return x\n", ["C", "module"]),
        ("def f(a):\n    return [x for y in a if (x := y)] + [x]\n", ["f", "f"]),
        ("@x\ndef f(x):\n    pass\n", ["module"]),
    ],
)
def test_which_variable_a_name_is(source: str, where: list[str]) -> None:
    assert scopes(source) == where


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("json.dump(x, f)\n", End.WRITTEN),
        ("y = 2 * x\n", End.NOTHING),
        ("print(x)\n", End.SHOWN),
        ("print(x, file=f)\n", End.WRITTEN),
        ("if x < 0:\n    raise ValueError\n", End.GUARD),
        ("if x < 0:\n    print('low')\nelif x > 2:\n    print('high')\n", End.SHOWN),
        ("if x < 0:\n    y = 1\n", End.WRITTEN),
        ("if x < 0:\n    import sys\n", End.WRITTEN),
        ("assert x\n", End.GUARD),
        ("y = [k for k in x]\nprint(len(y))\n", End.SHOWN),
        ("y = []\ny.append(x)\n", End.NOTHING),
        ("y = []\ny.append(x)\nf.write(y)\n", End.WRITTEN),
        ("y = {}\ny['a'] = x\nz = y['a']\n", End.NOTHING),
        ("f.y = x\n", End.WRITTEN),
        ("def g(a, b):\n    return a\nz = g(1, x)\n", End.NOTHING),
        ("def g(a, b):\n    f.write(b)\ng(1, x)\n", End.WRITTEN),
        ("def g(*a):\n    f.write(a)\ng(1, x)\n", End.WRITTEN),
        ("def g():\n    return x, 1\na, b = g()\nf.write(b)\n", End.NOTHING),
        ("def g():\n    return x, 1\na, b = g()\nf.write(a)\n", End.WRITTEN),
        ("def g():\n    return x\nf(g)\n", End.WRITTEN),
        ("def g(a):\n    f.write(a)\ndone = list(map(g, x))\n", End.WRITTEN),
        ("a, b = 1, x\nf.write(a)\n", End.NOTHING),
        ("while x:\n    pass\n", End.WRITTEN),
        ("for k in x:\n    print(k)\n", End.SHOWN),
        ("for k in x:\n    f.write('line')\n", End.WRITTEN),
        ("np.add(1, x, out=y)\n", End.WRITTEN),
        ("df.query('a > @z')\nz = x\n", End.WRITTEN),
        ("match x:\n    case 1:\n        pass\n", End.WRITTEN),
    ],
)
def test_what_becomes_of_a_value(source: str, end: End) -> None:
    script = Script(source)
    onward, found = follow(script), End.NOTHING
    stack: list[tuple[ast.expr, int | None]] = [(load, None) for load in script.loads["x"]]
    seen = set(stack)
    while stack:
        for step in onward.steps(*stack.pop()):
            found |= step.end
            if step.to is not None and (step.to, step.pick) not in seen:
                seen.add((step.to, step.pick))
                stack.append((step.to, step.pick))
    assert found == end
