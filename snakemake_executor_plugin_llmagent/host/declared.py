"""What a rule declares with `agent:`, checked while the Snakefile is parsed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.ruleinfo import RuleInfo

from snakemake_executor_plugin_llmagent.blinding.twins import check as check_blind
from snakemake_executor_plugin_llmagent.checks.own import load as load_check
from snakemake_executor_plugin_llmagent.config import (
    NO_SANDBOX,
    SANDBOX_VARIABLE,
    Options,
    persons_choices,
    validate_options,
)
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.asked import blind_of, checks_of, crosscheck_of, decide_of, probes_of
from snakemake_executor_plugin_llmagent.host.blinded import digest_param, opened_script, times_rejected
from snakemake_executor_plugin_llmagent.host.names import offer_names
from snakemake_executor_plugin_llmagent.host.provenance import with_provenance
from snakemake_executor_plugin_llmagent.host.providers import providers_of
from snakemake_executor_plugin_llmagent.host.withheld import note_secrets
from snakemake_executor_plugin_llmagent.host.wrong import AgentRuleError, SandboxError
from snakemake_executor_plugin_llmagent.spec import Document, Kind, Slot, Spec

DIGEST_PARAM = "llmagent_spec"
"""Param that carries the spec's digest, so that Snakemake reruns a job, and tells cached outputs apart, by it.

For a blinded rule it also says whether the job sees its data.
"""

KNOWN = (
    "model", "coder", "supervisor", "supervision", "max_attempts", "approve", "timeout", "checks", "context", "sandbox",
    "readable", "probes", "blind", "decide", "crosscheck", "slice", "fallback", "budget",
)  # fmt: skip
PLANNED = ("skills",)


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What stands in the Snakefile, whatever rule it ends up in.

    Attributes:
        name: the rule's name where it is defined, None if it has none there.
        text: the sentence.
        options: choices about authoring.
        documents, checks: texts that belong to what is asked for.
        asked: the parts of the spec that options make: contracts, probes, blind, decide.
        base: directory of the file that defines the rule.
        file, line: where.
        claims: scripts that rules of this workflow hold, by path, each with the spec digest that came first.
    """

    name: str | None
    text: str
    options: Options
    documents: tuple[Document, ...]
    checks: tuple[Document, ...]
    asked: Mapping[str, Any]
    base: Path
    file: str
    line: int
    claims: dict[Path, str]


@dataclass(frozen=True, kw_only=True)
class AgentRule:
    """An agent rule of a workflow.

    Attributes:
        name: its name in the workflow.
        spec: what it asks for.
        options: choices about authoring.
        script: where its script lies, or will.
        unblinded: digest of the script to which the data of a blinded rule were open when the Snakefile was read.
        rejections: how often people had rejected a script of the rule by then.
    """

    name: str
    spec: Spec
    options: Options
    script: Path
    unblinded: str = ""
    rejections: int = 0

    def unconfined(self, text: str) -> SandboxError:
        """Why a job of the rule fails although its script may be right."""
        return SandboxError(text, file=self.spec.source_file, line=self.spec.line, rule=self.name)

    def error(self, text: str) -> AgentRuleError:
        """Why a job of the rule fails, with its place in the Snakefile."""
        return AgentRuleError(text, file=self.spec.source_file, line=self.spec.line, rule=self.name)


class AgentRuleInfo(RuleInfo):  # type: ignore[misc]
    """A rule in the making whose declaration is completed once its inputs, outputs and params are known."""

    declaration: Declaration
    agent: AgentRule
    output: Any
    params: Any

    def __copy__(self) -> AgentRuleInfo:
        copied: AgentRuleInfo = super().__copy__()
        copied.__class__ = AgentRuleInfo
        return copied

    def apply_modifier(self, modifier: Any, rulename: str, *args: Any, **kwargs: Any) -> None:
        """Let Snakemake apply `with:` and module prefixes, then complete the declaration."""
        super().apply_modifier(modifier, rulename, *args, **kwargs)
        self.agent = _complete(self, rulename)
        self.output = with_provenance(modifier.workflow, self.agent, self.output)
        positional, named = self.params or ((), {})
        self.params = (positional, {**named, DIGEST_PARAM: digest_param(self.agent)})
        here = modifier.workflow.current_basedir.get_path_or_uri(secret_free=True)
        if self.agent.script.exists():
            self.script = script_reference(self.agent.script, here)


def script_reference(script: Path, base: str) -> str:
    """A script's path as a `script:` directive in a file in `base` would name it."""
    relative = os.path.relpath(script, base) if Path(base).is_dir() else str(script)
    return relative.replace("{", "{{").replace("}", "}}")


def declare(workflow: Any, name: str | None, file: str, line: int) -> Callable[..., Callable[[Any], Any]]:
    """What `@workflow.agent(name, file, line)(sentence, **options)` calls."""
    taken_back = offer_names(workflow)

    def decorate(*sentence: object, **options: object) -> Callable[[Any], Any]:
        taken_back()
        try:
            declaration = _declare(workflow, name, file, line, sentence, options)
        except ConfigError as error:
            raise AgentRuleError(str(error), file=file, line=line) from None

        def attach(ruleinfo: Any) -> Any:
            ruleinfo.__class__ = AgentRuleInfo
            ruleinfo.declaration = declaration
            return ruleinfo

        return attach

    return decorate


def _declare(
    workflow: Any, name: str | None, file: str, line: int, sentence: tuple[object, ...], options: dict[str, object]
) -> Declaration:
    where = f"Rule {name}: " if name else ""
    base = _base(workflow, file)
    spec_file = options.pop("spec_file", None)
    text = _sentence(where, sentence, spec_file, base)
    for option in options:
        _check_option(where, option)
    own, contracts = checks_of(where, options.pop("checks", ()))
    checks = tuple(load_check(label, base) for label in own)
    asked = {
        "contracts": contracts,
        "probes": probes_of(where, options.pop("probes", None)),
        "blind": blind_of(where, options.pop("blind", None), base),
        "decide": decide_of(where, options.pop("decide", None)),
    }
    documents = tuple(_document(where, label, base) for label in _strings(where, "context", options.pop("context", ())))
    options |= crosscheck_of(where, options.pop("crosscheck", None))
    try:
        chosen = validate_options(Options(**options), base=base)  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
    if chosen.sandbox == NO_SANDBOX:
        raise ConfigError(
            f"{where}a rule cannot switch the sandbox off. Only the person who runs it can: with `--llmagent-sandbox "
            f"none`, in a profile, or with {SANDBOX_VARIABLE}=none in the environment of Snakemake."
        )
    persons_choices()  # under other executors nothing else looks at them before jobs run
    providers_of(workflow)
    note_secrets(workflow)
    claims = workflow.__dict__.setdefault("_llmagent_claims", {})
    return Declaration(name=name, text=text, options=chosen, documents=documents, checks=checks, asked=asked,
                       base=base, file=file, line=line, claims=claims)  # fmt: skip


def _base(workflow: Any, file: str) -> Path:
    """The directory that `agents/` stands in: beside the file, or beside the main Snakefile if the file is remote."""
    if Path(file).exists():
        return Path(file).resolve().parent
    return Path(workflow.main_snakefile).resolve().parent


def _sentence(where: str, sentence: tuple[object, ...], spec_file: object, base: Path) -> str:
    if spec_file is not None:
        if sentence:
            raise ConfigError(f"{where}`agent:` takes a sentence or `spec_file`, not both.")
        return _spec_file(where, spec_file, base)
    if len(sentence) > 1:
        raise ConfigError(
            f"{where}`agent:` takes one sentence, but {len(sentence)} are given. Adjacent strings join without a comma."
        )
    if not sentence:
        raise ConfigError(f'{where}`agent:` needs a sentence, such as agent: "fit m_yy with DSCB+exp".')
    if not isinstance(sentence[0], str):
        kind = type(sentence[0]).__name__
        raise ConfigError(f"{where}what the rule is to do has to be a string, not {kind}.")
    if not sentence[0].strip():
        raise ConfigError(f"{where}what the rule is to do is empty.")
    return sentence[0]


def _spec_file(where: str, spec_file: object, base: Path) -> str:
    if not isinstance(spec_file, (str, Path)):
        raise ConfigError(f"{where}`spec_file` has to be a path, not {type(spec_file).__name__}.")
    path = base / spec_file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}the spec file {path} cannot be read: {error}.") from None
    if not text.strip():
        raise ConfigError(f"{where}the spec file {path} is empty.")
    return text


def _check_option(where: str, option: str) -> None:
    if option in KNOWN:
        return
    if option in PLANNED:
        raise ConfigError(f"{where}the option `{option}` is not available in this version of the plugin.")
    near = difflib.get_close_matches(option, (*KNOWN, *PLANNED, "spec_file"), n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise ConfigError(
        f"{where}`agent:` has no option `{option}`.{hint} The options are: {', '.join(('spec_file', *KNOWN))}."
    )


def _strings(where: str, option: str, value: object) -> tuple[str, ...]:
    entries = [value] if isinstance(value, (str, Path)) else value
    if not isinstance(entries, Iterable):
        raise ConfigError(f"{where}`{option}` has to be a list of strings.")
    listed = list(entries)
    wrong = next((entry for entry in listed if not isinstance(entry, (str, Path))), None)
    if wrong is not None:
        raise ConfigError(f"{where}`{option}` has to be a list of strings; {wrong!r} is none.")
    return tuple(str(entry) for entry in listed)


def _document(where: str, label: str, base: Path) -> Document:
    path = base / label
    try:
        return Document(label=label, path=path, text=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}the context file {path} cannot be read as text: {error}.") from None


# --- completing -----------------------------------------------------------------------------------------------------


def _complete(ruleinfo: AgentRuleInfo, rulename: str) -> AgentRule:
    declaration = ruleinfo.declaration
    if not (declaration.name or ruleinfo.name):
        raise _error(declaration, "An agent rule needs a name, because its script is stored under it.")
    outputs = _slots(ruleinfo.output)
    if not outputs:
        raise _error(declaration, f"Rule {rulename} has `agent:` but no `output:`; there is nothing to write.")
    for flag in ("pipe", "service", "update"):
        if any(_flagged(entry, flag) for entry in _entries(ruleinfo.output)):
            raise _error(declaration, f"Rule {rulename}: an agent rule cannot write {flag}() outputs.")
    positional, named = ruleinfo.params or ((), {})
    names = (*(f"[{index}]" for index in range(len(positional))), *(name for name in named if name != DIGEST_PARAM))
    spec = Spec(
        rule=rulename, text=declaration.text, inputs=_slots(ruleinfo.input), outputs=outputs, params=names,
        wildcards=_wildcards(ruleinfo.output), context=declaration.documents, checks=declaration.checks,
        source_file=declaration.file, line=declaration.line, **declaration.asked,
    )  # fmt: skip
    try:
        check_blind(spec)
    except ConfigError as error:
        raise _error(declaration, str(error)) from None
    script = _claim(declaration, ruleinfo.name or declaration.name or rulename, rulename, spec.digest)
    opened = opened_script(script, spec)
    return AgentRule(
        name=rulename, spec=spec, options=declaration.options, script=script, unblinded=opened,
        rejections=times_rejected(script),
    )  # fmt: skip


def _claim(declaration: Declaration, defined: str, rulename: str, digest: str) -> Path:
    """The place of a rule's script: named as where the rule is defined, so that rules which inherit it share it.

    A rule that inherits but asks for something else (`with:` another output) gets a script under its own name; one that
    takes the place of a module's rule, and so has its name too, never touches the module's script.
    """
    folder = declaration.base / "agents"
    for stem in (defined, rulename, f"{rulename}-{digest[:8]}"):
        script = folder / f"{stem}.py"
        if declaration.claims.setdefault(script, digest) == digest:
            break
    return script


def _error(declaration: Declaration, text: str) -> AgentRuleError:
    return AgentRuleError(text, file=declaration.file, line=declaration.line)


def _named_entries(files: Any) -> list[tuple[str | None, Any]]:
    if not files:
        return []
    return [*((None, entry) for entry in files.paths), *files.kwpaths.items()]


def _entries(files: Any) -> Iterable[Any]:
    for _, entry in _named_entries(files):
        yield from entry if isinstance(entry, (list, tuple)) else (entry,)


def _flagged(entry: Any, flag: str) -> bool:
    return bool(getattr(entry, "flags", {}).get(flag))


def _slots(files: Any) -> tuple[Slot, ...]:
    """What inputs or outputs mean to a script."""
    slots = []
    for name, entry in _named_entries(files):
        members = list(entry) if isinstance(entry, (list, tuple)) else [entry]
        if any(callable(member) and not isinstance(member, str) for member in members):
            slots.append(Slot(name=name, kind=Kind.COMPUTED))
            continue
        suffixes = tuple(sorted({_suffix(str(member)) for member in members} - {""}))
        if any(_flagged(member, "directory") for member in members):
            slots.append(Slot(name=name, kind=Kind.DIRECTORY))
        else:
            kind = Kind.FILES if isinstance(entry, (list, tuple)) else Kind.FILE
            slots.append(Slot(name=name, kind=kind, suffixes=suffixes))
    return tuple(slots)


def _suffix(path: str) -> str:
    """The format in a file's name: `.parquet`, `.root`, `.json.gz`; empty if a wildcard decides it."""
    suffixes = [part for part in Path(path).suffixes if "{" not in part and "}" not in part]
    if suffixes[-1:] in ([".gz"], [".bz2"], [".xz"], [".zst"]):
        return "".join(suffixes[-2:])
    return suffixes[-1] if suffixes and path.endswith(suffixes[-1]) else ""


def _wildcards(outputs: Any) -> tuple[str, ...]:
    from snakemake.io import get_wildcard_names

    return tuple(sorted({name for entry in _entries(outputs) for name in get_wildcard_names(str(entry))}))
