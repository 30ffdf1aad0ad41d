"""A workflow whose rules look as if models had written them in many attempts, made in a moment: for pages about it.

Sessions and locks are written by the code that writes them in a run; what models and files say is made up here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.authoring import record
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.project import agent_rules
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, digest_script
from snakemake_executor_plugin_llmagent.protocols import Completion, Ending, Finding, Message, Request, Stop, Usage
from snakemake_executor_plugin_llmagent.roles import Attempt, Draft, Review
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.witness import Witness
from tests.unit.support import an_execution

HOSTILE = (
    "</script><script>document.title='run'</script><img src=x onerror=document.title='run'> {{ 7*7 }} {% raw %} "
    "\u202egnp.exe\u202c \x00 \x1b[31m \u200b '\"&<b>bold</b> `code` | $x$ \\write18 _a_ ]]> javascript:alert(1)"
)
"""What a model, a file or a person might say to break out of a page or a note."""
SESSIONS = Path(".snakemake/llmagent/sessions")


def source(lines: int, number: int) -> str:
    """A script; those of other attempts differ in a few lines."""
    body = [
        f"value_{line} = compute({line}, cut={line * 0.5 + number * (line % 40 == 0)})  # step" for line in range(lines)
    ]
    return "\n".join(['"""Compute."""', "import json", "import numpy as np", *body, "print('done')"]) + "\n"


class _Says:
    """A model with one reply."""

    name = "openai:gpt"

    def __init__(self, reported: str) -> None:
        self._reported = reported

    def complete(self, request: Request) -> Completion:
        usage = Usage(input_tokens=9000, output_tokens=2400, cached_input_tokens=4000)
        return Completion(text="as asked", stop=Stop.END, model=self._reported, usage=usage, usd=Decimal("0.0525"))


def attempt(number: int, last: bool, lines: int, words: str = "") -> Attempt:
    """An attempt that fails, is sent back, or is the last one, which is accepted."""
    text = source(lines, number) + (f"# {words.encode('unicode_escape').decode()}\n" if words else "")
    crashed = not last and number % 2 == 1
    findings = (
        (Finding(check="run.failed", message=f"The script ended with exit status 1. {words}"),) if crashed else ()
    )
    log = "\n".join(f"step {line} of the script, {words}" for line in range(20))
    execution = an_execution(log=log, returncode=int(crashed), seconds=2.5, ending=Ending.EXIT)
    review = None if crashed else Review(approved=last, comments=f"Look at the weights. {words}")
    decisions: Any = (
        {"name": f"CUT {words}", "value": [1.0, 2.0], "unit": "GeV", "alternatives": [[0.0, 2.0], words]},
    )
    evidence: Any = {} if crashed else {"probes": {"half_events": "passed", f"scale_weights {words}": "passed"}}
    return Attempt(number=number, draft=Draft(source=text, decisions=decisions), execution=execution, findings=findings,
                   review=review, evidence=evidence)  # fmt: skip


def session(root: Path, rule: AgentRule, attempts: int, lines: int, words: str = "") -> tuple[Session, Attempt]:
    """A session of a rule, as authoring writes it; also its last attempt."""
    session = Session.start(root / SESSIONS, rule.name)
    session.event("begin", rule=rule.name, spec=rule.spec.text, spec_digest=rule.spec.digest, wildcards={"n": words})
    shop = cast(Any, SimpleNamespace(session=session, tell=lambda *_, **__: None))
    request = Request(role="coder", messages=(Message(role="user", content="write"),), max_tokens=100)
    for number in range(1, attempts + 1):
        Witness(_Says(f"gpt-2026 {words}"), session).complete(request)
        made = attempt(number, number == attempts, lines, words)
        record(shop, made)
    session.event("frozen", script=str(rule.script), attempts=attempts)
    return session, made


def freeze(root: Path, rule: AgentRule, session: Session, last: Attempt, words: str = "") -> None:
    """Freeze the script of the last attempt."""
    assert last.draft.source is not None
    names = {"asked": "openai:gpt", "reported": f"gpt-2026 {words}".strip()}
    found = Lock(
        rule=rule.name, spec_text=rule.spec.text, spec_digest=rule.spec.digest, created="2026-11-27T03:35:19+00:00",
        script_digest=digest_script(last.draft.source),
        approval=Approval(by="person", name=f"Ada {words}".strip(), time="2026-11-27T03:35:19+00:00"),
        models={"coder": names, "supervisor": names}, attempts=last.number,
        usage={"calls": 5, "input_tokens": 45000, "output_tokens": 12000}, python="3.11.7", packages={"numpy": "2.4"},
        sandbox={"backend": "bwrap", "landlock": 7, "limits": {}},
        run={"seconds": 2.5, "cpu_seconds": 2.0, "peak_memory_mb": 100, "opened": [], "not_opened": []},
        checks={"script": "passed", "output": f"warning: an axis without label {words}"},
        evidence={name: dict(results) for name, results in last.evidence.items()},
        review={"verdict": "approve", "comments": f"Fine. {words}"}, decisions=tuple(map(dict, last.draft.decisions)),
        session={"path": str(session.directory.relative_to(root)), "digest": session.digest},
    )  # fmt: skip
    lock.freeze(rule.script, last.draft.source, found)


def snakefile(names: Sequence[str], sentence: str) -> str:
    """Rules in a chain of four, each with numbers and a picture as outputs."""
    rules = [f"rule all:\n    input: {', '.join(repr(f'out/{name}.json') for name in names)}\n"]
    for number, name in enumerate(names):
        before = f"    input: 'out/{names[number - 1]}.json'\n" if number % 4 else ""
        rules.append(
            f"rule {name}:\n{before}    output: fit='out/{name}.json', plot='out/{name}.png'\n    agent: {sentence!r}\n"
        )
    return "\n".join(rules)


def picture(path: Path, seed: int) -> None:
    """A picture as plots are: lines on white, with some structure."""
    import numpy as np
    from PIL import Image, ImageDraw

    generator = np.random.default_rng(seed)
    image = Image.new("RGB", (1200, 900), "white")
    draw = ImageDraw.Draw(image)
    heights = 800 - generator.poisson(np.linspace(600, 150, 110))
    points = [(60 + 10 * index, int(height)) for index, height in enumerate(heights)]
    draw.line(points, fill=(23, 89, 127), width=3)
    draw.rectangle((60, 60, 1160, 840), outline="black", width=2)
    image.save(path)


def make(
    root: Path, *, rules: int = 2, attempts: int = 3, lines: int = 60, words: str = "", pictures: bool = True
) -> tuple[AgentRule, ...]:
    """Make the workflow; `words` stand in everything that a model or a person says."""
    names = [f"step_{number:02d}" for number in range(rules)]
    path = root / "Snakefile"
    path.write_text(snakefile(names, f"fit the mass {words}".strip()), encoding="utf-8")
    (root / "out").mkdir()
    agents = agent_rules(snakefile=path, directory=root)
    for number, rule in enumerate(agents):
        made, last = session(root, rule, attempts, lines, words)
        freeze(root, rule, made, last, words)
        result = {
            "parameters": {"mean": {"value": 125.0 + number, "error": 0.21}},
            f"note {words}": words,
            "valid": True,
        }
        (root / f"out/{rule.name}.json").write_text(json.dumps(result), encoding="utf-8")
        if pictures:
            picture(root / f"out/{rule.name}.png", number)
    return agents
