"""Settings become working parts. The only place that names concrete backends."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_llmagent.authoring import Supervision, Workshop
from snakemake_executor_plugin_llmagent.blinding.words import hidden
from snakemake_executor_plugin_llmagent.budgets import Budget, parse_budget
from snakemake_executor_plugin_llmagent.config import (
    Keys,
    Options,
    check_readable,
    chosen_sandbox,
    project_place,
    without_keys,
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
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, digest_script, run_record, sandbox_record
from snakemake_executor_plugin_llmagent.metering import Charging, Meter, Metering
from snakemake_executor_plugin_llmagent.models import Access, Models, cast_of
from snakemake_executor_plugin_llmagent.money import Price
from snakemake_executor_plugin_llmagent.progress import Ear, Tell
from snakemake_executor_plugin_llmagent.protocols import Ending, Job, Model, Task
from snakemake_executor_plugin_llmagent.providers import Providers, Warn, ignore
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
from snakemake_executor_plugin_llmagent.sandbox.confined import LEASES, ConfinedSandbox, Ground, run_unconfined
from snakemake_executor_plugin_llmagent.sandbox.limits import free_cores, machine_memory, room_beside
from snakemake_executor_plugin_llmagent.sandbox.stages import Stages
from snakemake_executor_plugin_llmagent.sandbox.walls import Walls, choose
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden
from snakemake_executor_plugin_llmagent.session import Session, utc_now
from snakemake_executor_plugin_llmagent.shown import describe_job, pictures, show_outputs
from snakemake_executor_plugin_llmagent.spec import Spec
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import First, Gate, Worker
from snakemake_executor_plugin_llmagent.witness import Witness
from snakemake_executor_plugin_llmagent.working import ConfinedWorker

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
        images: whether supervisors read images of whose provider nobody said.
        providers: those that the person has named.
        warn: tells the person what they should know.
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
    providers: Providers = field(default_factory=dict)
    warn: Warn = ignore
    charging: Charging = field(default_factory=Charging)
    workdir: Path
    environment: Mapping[str, str] = field(repr=False)
    cancelled: threading.Event

    @property
    def home(self) -> Path:
        """Where the plugin keeps what is never committed."""
        return project_place(self.workdir)

    @property
    def sessions(self) -> Path:
        """Where sessions lie, a folder for each rule."""
        return self.home / "sessions"


def settings_without_models(options: Options, workdir: Path, cancelled: threading.Event | None = None) -> Settings:
    """Settings with which no model can be asked, for what is done outside of runs."""
    return Settings(
        options=options, record=None, read_keys=Keys, context_tokens=None, locked=True, workdir=workdir,
        environment=without_keys(os.environ), cancelled=cancelled or threading.Event(),
    )  # fmt: skip


class Assembly:
    """Puts the parts of a run together."""

    def __init__(self, settings: Settings) -> None:
        """Note the settings; nothing is opened yet."""
        self.settings = settings
        self.warden = Warden()
        self.stages = Stages(settings.home / "stages")
        self.models = Models(
            Access(
                read_keys=settings.read_keys, providers=settings.providers, record=settings.record,
                locked=settings.locked, cancelled=settings.cancelled, warn=settings.warn,
                environment=settings.environment, price=self._price,
            )
        )  # fmt: skip
        self._finding = threading.Lock()
        self.meters: dict[str, Meter] = {}
        """Rule → who pays for its calls, for whoever shows what was spent."""
        self._metering: Metering | None = None
        self._counting = threading.Lock()
        self._walls: dict[str, Walls] = {}

    @property
    def keys(self) -> Keys:
        """The providers' keys."""
        return self.models.keys

    def close(self) -> None:
        """Close the models' connections, and leave neither stages nor the warden behind."""
        self.models.close()
        self.stages.close()
        self.warden.close()

    # --- models -------------------------------------------------------------------------------------------------

    def can_author(self, options: Options) -> bool:
        """Whether a model is chosen that could write."""
        return bool(cast_of(options).coder)

    def check(self, spec: Spec, options: Options) -> None:
        """Find out, before any job runs, whether a rule's script could be written.

        Raises:
            NotApproved: no model is chosen.
            ConfigError: a model cannot be opened.
        """
        if not self.can_author(options):
            raise NotApproved(
                f"Agent rule {spec.rule} has no approved script, and no model is chosen to write one.\n"
                "Choose one with --llmagent-model openai:NAME, anthropic:NAME, or PROVIDER:NAME with a provider of "
                "yours, and set its key in the environment. `llmagent config` shows what is chosen and which keys are "
                "set."
            )
        names = sorted(cast_of(options).everybody)
        for name in names:
            self.models.open(name)
        self.metering.check(spec.rule, _budget(options), self.models.prices(names))

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

    def _price(self, name: str, model: str, url: str) -> Price | None:
        return self.metering.price(name, model, url)

    def begun(self, rule: str) -> Mapping[str, str] | None:
        """The wildcards of the job that an unfinished session of a rule was about."""
        return Earlier(self.settings.sessions, rule).wildcards

    # --- authoring ----------------------------------------------------------------------------------------------

    def workshop(self, spec: Spec, options: Options, tell: Tell, ear: Ear | None = None) -> Workshop:
        """Everything that authoring a rule needs, with a session of its own; an ear hears models while they answer."""
        self.check(spec, options)
        assert options.max_attempts is not None and options.timeout is not None and options.supervision is not None
        earlier = Earlier(self.settings.sessions, spec.rule)
        session = Session.start(self.settings.sessions, spec.rule, self.keys.redact)
        cast = cast_of(options)
        ground = self._ground(options)
        worker = self._worker(ground)
        reader = self._reader(ground, worker.described)
        bench = self._bench(options, worker, tell)
        stages = self.stages.new_folder()
        meter = self.meters[spec.rule] = self.metering.meter(spec, _budget(options), session, tell)

        def ask(names: tuple[str, ...]) -> Witness:
            return Witness(self.models.stand_in(names, paid, step_back), session, earlier, ear)

        def paid(name: str) -> Model:
            self._say_if_unpriced(name, tell)
            return self.models.paid(name, meter)

        def step_back(before: Model, after: Model, why: str) -> None:
            session.event("fallback", model=before.name, instead=after.name, because=one_line(why, 500))
            tell(f"{one_line(why, 300)} {after.name} answers instead, until this script is written")

        if earlier.left:
            tell(f"an earlier session was cut off: {earlier.left} of its answers serve again where nothing has changed")
        first = Slicer(bench.worker, stages / "first", options.slice)
        shop = Workshop(
            coder=Coder(ask(cast.coder)),
            supervisor=Supervisor(ask(cast.supervisor)) if cast.supervisor else None,
            supervision=Supervision(options.supervision) if cast.supervisor else Supervision.NONE,
            sandbox=bench.sandbox,
            describe=reader,
            read_ahead=reader.read_ahead,
            run_aside=partial(self._run_aside, options.timeout),
            gates=_gates(bench, first),
            first=first,
            desk=bench.desk,
            context=self._describe(reader, options),
            show_outputs=partial(show_outputs, reader),
            pictures=pictures if self.models.read_images(cast.supervisor, self.settings.images) else lambda _: (),
            session=session,
            stages=stages,
            discard=layout.remove,
            tell=tell,
            max_attempts=options.max_attempts,
        )
        if not cast.second:
            return shop
        return crosschecked(shop, bench, Coder(ask(cast.second), role=SECOND), options.tolerance)

    def _say_if_unpriced(self, name: str, tell: Callable[[str], None]) -> None:
        if self.models.prices([name]).get(name, ...) is None:
            self.metering.say_unpriced(name, tell)

    def brief(self, spec: Spec, options: Options, task: Task) -> str:
        """What a coder would be told of a rule and a job whose inputs are there."""
        return self._describe(self._reader(self._ground(options)), options)(spec, task)

    def _reader(self, ground: Ground, quick: Callable[[Sequence[Path]], object] = lambda _: None) -> ConfinedReader:
        return ConfinedReader(ground, self.stages.new_folder, self.warden.new_token, self.settings.cancelled, quick)

    def _describe(self, reader: ConfinedReader, options: Options) -> Callable[[Spec, Task], str]:
        wanted = self.settings.context_tokens or CONTEXT_TOKENS
        limit = self.models.context_tokens(cast_of(options).everybody, wanted)
        return partial(describe_job, reader, options.readable, max_tokens=limit)

    def asked_by(self, options: Options) -> dict[str, str]:
        """Role → model, of the roles that are asked for a rule; empty if no model is chosen."""
        cast = cast_of(options)
        roles = {"coder": cast.coder, "supervisor": cast.supervisor, SECOND: cast.second}
        return {role: names[0] for role, names in roles.items() if names} if cast.coder else {}

    def bench(self, options: Options, tell: Callable[[str], None]) -> Bench:
        """What runs scripts and works on foreign files, without any model."""
        return self._bench(options, self._worker(self._ground(options)), tell)

    def _bench(self, options: Options, worker: ConfinedWorker, tell: Callable[[str], None]) -> Bench:
        assert options.timeout is not None
        ground = self._ground(options)
        sandbox = ConfinedSandbox(
            ground=ground, timeout=options.timeout, warden=self.warden, cancelled=self.settings.cancelled
        )
        return Bench(
            worker=worker, sandbox=sandbox, folder=self.stages.new_folder, discard=layout.remove, tell=tell,
            beside=partial(_beside, ground), desk=partial(_desk, ground, worker),
        )  # fmt: skip

    def hands(self, options: Options) -> tuple[Worker, Callable[..., Ending]]:
        """What works on foreign files behind walls, and what runs programs of the person's own."""
        assert options.timeout is not None
        return self._worker(self._ground(options)), partial(self._run_aside, options.timeout)

    def eyes(self, options: Options) -> tuple[ConfinedReader, Worker]:
        """What looks at files that nobody trusts: describes them, and works on them."""
        ground = self._ground(options)
        return self._reader(ground), self._worker(ground)

    def _worker(self, ground: Ground) -> ConfinedWorker:
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
        with self._finding:
            if wanted not in self._walls:
                self._walls[wanted] = choose(wanted, self.settings.home / "cache")
            return self._walls[wanted]

    def _run_aside(self, seconds: float, command: tuple[str, ...], directory: Path, log: Path) -> Ending:
        """Run a program of the person's own, in the environment of this process."""
        self.warden.watch()
        return run_unconfined(
            command, directory=directory, log=log, seconds=seconds, token=self.warden.new_token(),
            environment=without_keys(os.environ),
            cancelled=self.settings.cancelled,
        )  # fmt: skip

    def lock(self, spec: Spec, task: Task, shop: Workshop, attempt: Attempt, approval: Approval | None) -> Lock:
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
            approval=approval,
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


def _beside(ground: Ground, job: Job) -> Mapping[str, object] | None:
    """What a second run of a script may use; without walls they could meet."""
    if ground.walls().backend == "none":
        return None
    cores = free_cores(ground.home / LEASES)
    return room_beside(job.resources, job.threads, total_memory=machine_memory(), cores=cores)


def _desk(ground: Ground, worker: ConfinedWorker, task: Task, stage: Path) -> AbstractContextManager[None]:
    """A process at hand for the files of a trial, if there is room for one beside it."""
    job = task.job
    if _beside(ground, job) is None:
        return nullcontext()
    stage.parent.mkdir(parents=True, exist_ok=True)
    names = [item.path for item in (*job.inputs, *job.outputs)]
    return worker.desk(files=list(map(job.real, job.inputs)), folders=[stage.parent], names=names)


def _budget(options: Options) -> Budget | None:
    return None if options.budget is None else parse_budget("budget", options.budget)


def _gates(bench: Bench, first: First) -> tuple[Gate, ...]:
    """The gates of a rule, cheap first."""
    return (contents_gate(bench), probes_gate(bench, first))
