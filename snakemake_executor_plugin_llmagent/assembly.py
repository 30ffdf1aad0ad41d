"""Settings become working parts. The only place that names concrete backends."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_llmagent.authoring import Supervision, Workshop
from snakemake_executor_plugin_llmagent.blinding.words import hidden
from snakemake_executor_plugin_llmagent.budgets import Budget, parse_budget
from snakemake_executor_plugin_llmagent.config import (
    KEY_VARIABLES,
    NOBODY,
    Keys,
    Options,
    check_readable,
    chosen_sandbox,
)
from snakemake_executor_plugin_llmagent.context import (
    python_version,
)
from snakemake_executor_plugin_llmagent.decisions import recorded
from snakemake_executor_plugin_llmagent.earlier import Earlier
from snakemake_executor_plugin_llmagent.errors import ConfigError, NotApproved
from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.contents import contents_gate
from snakemake_executor_plugin_llmagent.gates.crosscheck import ROLE as SECOND
from snakemake_executor_plugin_llmagent.gates.crosscheck import crosschecked
from snakemake_executor_plugin_llmagent.gates.probes import probes_gate
from snakemake_executor_plugin_llmagent.gates.slices import Slicer
from snakemake_executor_plugin_llmagent.llm import CallSettings, default_address, open_model, split_name
from snakemake_executor_plugin_llmagent.llm.abortable import Abortable
from snakemake_executor_plugin_llmagent.llm.forbidden import Forbidden
from snakemake_executor_plugin_llmagent.llm.metered import Metered
from snakemake_executor_plugin_llmagent.llm.recording import Recording
from snakemake_executor_plugin_llmagent.llm.redacted import Redacted
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, digest_script, run_record, sandbox_record
from snakemake_executor_plugin_llmagent.metering import Charging, Meter, Metering
from snakemake_executor_plugin_llmagent.money import NOTHING, Price
from snakemake_executor_plugin_llmagent.protocols import Ending, Model, Task
from snakemake_executor_plugin_llmagent.reading import ConfinedReader
from snakemake_executor_plugin_llmagent.records import (
    cost_record,
    packages_of,
    relative,
    results_record,
    review_record,
)
from snakemake_executor_plugin_llmagent.roles import Attempt, Coder, Supervisor
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.sandbox.confined import ConfinedSandbox, Ground, run_unconfined
from snakemake_executor_plugin_llmagent.sandbox.stages import Stages
from snakemake_executor_plugin_llmagent.sandbox.walls import Walls, choose
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden
from snakemake_executor_plugin_llmagent.session import Session, utc_now
from snakemake_executor_plugin_llmagent.shown import describe_job, pictures, show_outputs
from snakemake_executor_plugin_llmagent.spec import Spec
from snakemake_executor_plugin_llmagent.trials import First, Gate, Worker
from snakemake_executor_plugin_llmagent.witness import Witness
from snakemake_executor_plugin_llmagent.working import ConfinedWorker

REPLAY = "replay"
CONTEXT_TOKENS = 48_000
"""How long the description of a rule and its inputs may be [tokens], where nobody chose."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run.

    Attributes:
        options: choices of the run; rules may choose otherwise.
        charging: choices about money.
        record: where exchanges with models are stored, if anywhere.
        read_keys: reads the providers' keys when a model is first opened.
        context_tokens: limit on the context [tokens], None for the default.
        locked: whether no model may be called at all.
        images: whether supervisors read images.
        workdir: the working directory.
        environment: the environment of this process, of which an allow list reaches scripts.
        cancelled: set when everything has to end.
    """

    options: Options
    record: Path | None
    read_keys: Callable[[], Keys] = field(repr=False)
    context_tokens: int | None
    locked: bool
    images: bool = False
    charging: Charging = field(default_factory=Charging)
    workdir: Path
    environment: Mapping[str, str] = field(repr=False)
    cancelled: threading.Event

    @property
    def home(self) -> Path:
        """Where the plugin keeps what is never committed."""
        return self.workdir / ".snakemake" / "llmagent"

    @property
    def sessions(self) -> Path:
        """Where sessions lie, a folder for each rule."""
        return self.home / "sessions"


class Assembly:
    """Puts the parts of a run together."""

    def __init__(self, settings: Settings) -> None:
        """Note the settings; nothing is opened yet."""
        self.settings = settings
        self.warden = Warden()
        self.stages = Stages(settings.home / "stages")
        self._keys: Keys | None = None
        self._opening = threading.Lock()
        self.meters: dict[str, Meter] = {}
        """Rule → who pays for its calls, for whoever shows what was spent."""
        self._models: dict[str, Model] = {}
        self._prices: dict[str, Price | None] = {}
        self._metering: Metering | None = None
        self._counting = threading.Lock()
        self._walls: dict[str, Walls] = {}

    @property
    def keys(self) -> Keys:
        """The providers' keys."""
        if self._keys is None:
            self._keys = self.settings.read_keys()
        return self._keys

    def close(self) -> None:
        """Close the models' connections, and leave neither stages nor the warden behind."""
        for model in self._models.values():
            close = getattr(model, "close", None)
            if close is not None:
                close()
        self.stages.close()
        self.warden.close()

    # --- models -------------------------------------------------------------------------------------------------

    def can_author(self, options: Options) -> bool:
        """Whether a model is chosen that could write."""
        return (options.coder or options.model) is not None

    def check(self, spec: Spec, options: Options) -> None:
        """Find out, before any job runs, whether a rule's script could be written.

        Raises:
            NotApproved: no model is chosen.
            ConfigError: a model cannot be opened.
        """
        if not self.can_author(options):
            raise NotApproved(
                f"Agent rule {spec.rule} has no approved script, and no model is chosen to write one. "
                "Choose one with --llmagent-model openai:NAME or anthropic:NAME "
                "(and a key in OPENAI_API_KEY or ANTHROPIC_API_KEY)."
            )
        names = sorted(set(self.asked_by(options).values()))
        for name in names:
            self._open(name)
        prices = {name: self._prices[name] for name in names if name in self._prices}
        self.metering.check(spec.rule, _budget(options), prices)

    def _supervisor_name(self, options: Options) -> str | None:
        name = options.supervisor or options.model or options.coder
        return None if name == "none" or options.supervision == Supervision.NONE else name

    @property
    def metering(self) -> Metering:
        """The money of this run."""
        settings = self.settings
        with self._counting:
            if self._metering is None:
                self._metering = Metering(
                    settings.charging, home=settings.home, project=settings.workdir, cancelled=settings.cancelled
                )
            return self._metering

    def _open(self, name: str) -> Model:
        with self._opening:
            if name not in self._models:
                if self.settings.locked:
                    return Forbidden(f"--llmagent-locked: {name} may not be called.")
                model: Model = open_model(name, keys=self.keys, settings=CallSettings())
                if split_name(name)[0] != REPLAY:  # recordings cost nothing
                    self._prices[name] = self.metering.price(name, split_name(name)[1], getattr(model, "url", ""))
                if self.settings.record is not None:
                    model = Recording(model, self.settings.record, keys=self.keys)
                self._models[name] = Redacted(model, self.keys)
            return self._models[name]

    def _asked(self, name: str, meter: Meter, tell: Callable[[str], None]) -> Model:
        """A model that a session may ask."""
        model = self._open(name)
        if name in self._prices:
            model = Metered(model, self._prices[name], meter)
            if self._prices[name] is None:
                self.metering.say_unpriced(name, tell)
        return Abortable(model, self.settings.cancelled)

    def begun(self, rule: str) -> Mapping[str, str] | None:
        """The wildcards of the job that an unfinished session of a rule was about."""
        return Earlier(self.settings.sessions, rule).wildcards

    # --- authoring ----------------------------------------------------------------------------------------------

    def workshop(self, spec: Spec, options: Options, tell: Callable[[str], None]) -> Workshop:
        """Everything that authoring a rule needs, with a session of its own."""
        self.check(spec, options)
        assert options.max_attempts is not None and options.timeout is not None and options.supervision is not None
        earlier = Earlier(self.settings.sessions, spec.rule)
        session = Session.start(self.settings.sessions, spec.rule, self.keys.redact)
        supervisor = self._supervisor_name(options)
        ground = self._ground(options)
        reader = self._reader(ground)
        bench = self.bench(options, tell)
        stages = self.stages.new_folder()
        meter = self.meters[spec.rule] = self.metering.meter(spec, _budget(options), session, tell)

        def asked(name: str) -> Witness:
            return Witness(self._asked(name, meter, tell), session, earlier)

        if earlier.left:
            tell(f"an earlier session was cut off: {earlier.left} of its answers serve again where nothing has changed")
        first = Slicer(bench.worker, stages / "first", options.slice)
        shop = Workshop(
            coder=Coder(asked(options.coder or options.model or "")),
            supervisor=None if supervisor is None else Supervisor(asked(supervisor)),
            supervision=Supervision.NONE if supervisor is None else Supervision(options.supervision),
            sandbox=bench.sandbox,
            describe=reader,
            read_ahead=reader.read_ahead,
            run_aside=partial(self._run_aside, options.timeout),
            gates=_gates(bench, first),
            first=first,
            context=self._describe(reader, options),
            show_outputs=partial(show_outputs, reader),
            pictures=pictures if self.settings.images else lambda _: (),
            session=session,
            stages=stages,
            discard=layout.remove,
            tell=tell,
            max_attempts=options.max_attempts,
        )
        if options.crosscheck in (None, NOBODY):
            return shop
        second = Coder(asked(options.crosscheck), role=SECOND)
        return crosschecked(shop, bench, second, options.tolerance)

    def brief(self, spec: Spec, options: Options, task: Task) -> str:
        """What a coder would be told of a rule and a job whose inputs are there."""
        return self._describe(self._reader(self._ground(options)), options)(spec, task)

    def _reader(self, ground: Ground) -> ConfinedReader:
        return ConfinedReader(ground, self.stages.new_folder, self.warden.new_token, self.settings.cancelled)

    def _describe(self, reader: ConfinedReader, options: Options) -> Callable[[Spec, Task], str]:
        limit = self.settings.context_tokens or CONTEXT_TOKENS
        return partial(describe_job, reader, options.readable, max_tokens=limit)

    def price_of(self, name: str) -> Price | None:
        """What a model costs, without opening it; None if nobody knows."""
        provider, model = split_name(name)
        if provider == REPLAY:
            return Price(input=NOTHING, output=NOTHING, source="recordings")
        return self.metering.price(name, model, default_address(provider, self.settings.environment))

    def asked_by(self, options: Options) -> dict[str, str]:
        """Role → model, of the roles that are asked for a rule; empty if no model is chosen."""
        coder, second = options.coder or options.model, options.crosscheck
        if coder is None:
            return {}
        supervisor = self._supervisor_name(options)
        return {
            "coder": coder,
            **({"supervisor": supervisor} if supervisor else {}),
            **({SECOND: second} if second and second != NOBODY else {}),
        }

    def bench(self, options: Options, tell: Callable[[str], None]) -> Bench:
        """What runs scripts and works on foreign files, without any model."""
        assert options.timeout is not None
        ground = self._ground(options)
        sandbox = ConfinedSandbox(
            ground=ground, timeout=options.timeout, warden=self.warden, cancelled=self.settings.cancelled
        )
        worker, folder = self._worker(ground), self.stages.new_folder
        return Bench(worker=worker, sandbox=sandbox, folder=folder, discard=layout.remove, tell=tell)

    def hands(self, options: Options) -> tuple[Worker, Callable[..., Ending]]:
        """What works on foreign files behind walls, and what runs programs of the person's own."""
        assert options.timeout is not None
        return self._worker(self._ground(options)), partial(self._run_aside, options.timeout)

    def _worker(self, ground: Ground) -> Worker:
        return ConfinedWorker(ground, self.stages.new_folder, self.warden.new_token, self.settings.cancelled)

    def _ground(self, options: Options) -> Ground:
        """What all scripts of a rule have in common."""
        settings = self.settings
        wanted = chosen_sandbox(options, settings.options)
        check_readable(options)
        return Ground(
            project=settings.workdir, home=settings.home, outer=settings.environment,
            readable=tuple(map(Path, options.readable)), walls=partial(self.walls, wanted),
        )  # fmt: skip

    def walls(self, wanted: str) -> Walls:
        """What confines scripts here, found out once.

        Raises:
            SandboxUnavailable: nothing does.
        """
        with self._opening:
            if wanted not in self._walls:
                self._walls[wanted] = choose(wanted, self.settings.home / "cache")
            return self._walls[wanted]

    def _run_aside(self, seconds: float, command: tuple[str, ...], directory: Path, log: Path) -> Ending:
        """Run a program of the person's own, in the environment of this process."""
        self.warden.watch()
        return run_unconfined(
            command, directory=directory, log=log, seconds=seconds, token=self.warden.new_token(),
            environment={name: value for name, value in os.environ.items() if name not in KEY_VARIABLES},
            cancelled=self.settings.cancelled,
        )  # fmt: skip

    def lock(self, spec: Spec, task: Task, shop: Workshop, attempt: Attempt, *, wait_for_person: bool) -> Lock:
        """The record of what a script is approved for."""
        source = attempt.draft.source
        if source is None or attempt.execution is None:
            raise ConfigError("Only a script that has run can be approved.")
        now = utc_now()
        models = {"coder": shop.coder.model, **({"supervisor": shop.supervisor.model} if shop.supervisor else {})}
        models |= {SECOND: shop.second.model} if shop.second else {}
        witnesses = {role: model for role, model in models.items() if isinstance(model, Witness)}
        usage: Counter[str] = sum((witness.usage for witness in witnesses.values()), Counter())
        costs = [witness.usd for witness in witnesses.values()]
        return Lock(
            rule=spec.rule,
            spec_text=spec.text,
            spec_digest=spec.digest,
            script_digest=digest_script(source),
            approval=None if wait_for_person else Approval(by="checks", name=None, time=now),
            created=now,
            models={role: {"asked": model.name, "reported": model.reported} for role, model in witnesses.items()},
            attempts=attempt.number,
            usage=dict(sorted(usage.items())),
            cost=cost_record(costs, usage),
            python=python_version() if not task.environment else "",
            packages=packages_of(source) if not task.environment else {},
            sandbox=sandbox_record(**vars(attempt.execution.sandbox)),
            run=run_record(
                seconds=attempt.execution.seconds,
                cpu_seconds=attempt.execution.cpu_seconds,
                peak_memory=attempt.execution.peak_memory,
                opened={path: access.opened for path, access in attempt.execution.access.items()},
            ),
            checks=results_record(spec, attempt),
            evidence={name: dict(results) for name, results in attempt.evidence.items() if results},
            blind=hidden(spec.blind),
            review=review_record(attempt),
            decisions=recorded(spec, attempt.draft.decisions),
            session={"path": relative(shop.session.directory, self.settings.workdir), "digest": shop.session.digest},
        )


def _budget(options: Options) -> Budget | None:
    return None if options.budget is None else parse_budget("budget", options.budget)


def _gates(bench: Bench, first: First) -> tuple[Gate, ...]:
    """The gates of a rule, cheap first."""
    return (contents_gate(bench), probes_gate(bench, first))
