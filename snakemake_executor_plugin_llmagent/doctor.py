"""What `llmagent doctor` says: how scripts of models are confined on this machine, and why, for a person to pass on."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.config import (
    KEY_VARIABLES,
    Options,
    chosen_sandbox,
    persons_choices,
    persons_file_of_providers,
)
from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.providers import places, read_providers
from snakemake_executor_plugin_llmagent.sandbox import cgroup, landlock, seccomp
from snakemake_executor_plugin_llmagent.sandbox.limits import machine_memory
from snakemake_executor_plugin_llmagent.sandbox.walls import Tried, bwrap_program, bwrap_version, choose, try_all

PACKAGES = (
    "snakemake-executor-plugin-llmagent", "snakemake", "snakemake-interface-executor-plugins", "openai", "anthropic",
    "uproot", "awkward", "numpy", "pyarrow", "h5py", "matplotlib", "zfit", "tensorflow",
)  # fmt: skip
SETTINGS = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "LLMAGENT_SANDBOX", "LLMAGENT_READABLE", "LLMAGENT_PROVIDERS",
            "SNAKEMAKE_PROFILE")  # fmt: skip
WORDS = {
    "bwrap": "bubblewrap: namespaces of its own for files, processes and network, with Landlock and seccomp inside",
    "bwrap-hostproc": "bubblewrap with the machine's /proc, where no new one can be mounted (containers); Landlock "
    "hides other processes",
    "landlock": "Landlock and seccomp alone: needs no program and no namespaces",
    "none": "NOTHING. The sandbox is switched off; scripts run with all your rights",
}
ADVICE = {
    "bwrap": "Nothing needs to be done.",
    "bwrap-hostproc": "Nothing needs to be done.",
    "landlock": "This holds. Two things are better with bubblewrap and unprivileged user namespaces: here a script can "
    "tell whether files elsewhere exist, and `multiprocessing.Pool` does not work (threads do).",
    "none": "Choose another with --llmagent-sandbox auto, or remove LLMAGENT_SANDBOX from the environment.",
}
NO_LANDLOCK = "none"
FOR_ADMINS = """\
For whoever looks after the machine: any one of these is enough.
  - bubblewrap 0.4 or later (package `bubblewrap`) and unprivileged user namespaces (/proc/sys/user/max_user_namespaces
    above 0; on Ubuntu 23.10 and later an AppArmor profile for bwrap).
  - a kernel with Landlock (5.13 or later, CONFIG_SECURITY_LANDLOCK=y, `landlock` in the list of lsm= on its command
    line); in a container also a seccomp profile that lets landlock_* calls through (Docker's default does)."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found out.

    Attributes:
        backend: what confines scripts here, None if nothing does.
        reason: why nothing does.
        wanted: what the environment asks for (`auto` unless somebody chose).
        tried: each kind and how it did.
        machine, versions, provider: fact → value.
    """

    backend: str | None
    reason: str
    wanted: str
    tried: tuple[Tried, ...]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    provider: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Test every kind of sandbox and gather what explains the results; changes nothing."""
    tried = try_all()
    backend, reason, wanted = None, "", "auto"
    try:
        wanted = chosen_sandbox(Options(), persons_choices())
        with tempfile.TemporaryDirectory(prefix="llmagent-doctor-") as folder:
            backend = choose(wanted, Path(folder)).backend
    except AgentError as error:
        reason = str(error)
    return Diagnosis(
        backend=backend, reason=reason, wanted=wanted, tried=tried, machine=dict(_machine()),
        versions=dict(_versions()), provider=dict(_provider()),
    )  # fmt: skip


def _machine() -> Iterable[tuple[str, str]]:
    yield "system", f"{_system()}, kernel {platform.release()} ({platform.machine()})"
    yield "user", "the superuser" if os.geteuid() == 0 else "an ordinary user"
    program = bwrap_program()
    version = ".".join(map(str, bwrap_version(program))) if program else ""
    yield "bubblewrap", f"{version} at {program}" if program else "not installed"
    yield "user namespaces", _first_line("/proc/sys/user/max_user_namespaces", "not known") + " allowed"
    yield "unprivileged namespaces", _restrictions()
    reported, usable = landlock.reported_abi(), landlock.usable_abi()
    yield "Landlock", f"version {usable} works (the kernel reports {reported})" if usable else NO_LANDLOCK
    yield "security modules", _first_line("/sys/kernel/security/lsm", "not shown here")
    yield "seccomp filter", "known" if seccomp.known_machine() else f"not known for {platform.machine()}"
    yield (
        "control groups",
        "delegated: the kernel enforces memory and processes"
        if cgroup.available()
        else ("none delegated: memory and processes are looked at every 0.05 to 0.25 s"),
    )
    yield "memory for scripts", _memory(machine_memory())
    yield "container", _container()
    yield "batch system", ", ".join(_batch()) or "none"


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', _text("/etc/os-release"), re.MULTILINE)
    return found[1] if found else platform.system()


def _memory(found: int | None) -> str:
    return "not known" if found is None else f"{found / 1e9:.1f} GB in all, 80 % of it for a rule that names no mem_mb"


def _restrictions() -> str:
    found = []
    for path, meaning in (
        ("/proc/sys/kernel/unprivileged_userns_clone", {"0": "switched off (kernel.unprivileged_userns_clone=0)"}),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", {"1": "restricted by AppArmor"}),
    ):
        found += [text for value, text in meaning.items() if _first_line(path, "") == value]
    return ", ".join(found) or "no restriction seen"


def _container() -> str:
    names = [name for path, name in (("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman"),
                                     ("/.singularity.d", "Apptainer")) if Path(path).exists()]  # fmt: skip
    return ", ".join(names) or "none seen"


def _batch() -> Iterable[str]:
    known = {"SLURM_JOB_ID": "SLURM job", "_CONDOR_SCRATCH_DIR": "HTCondor job", "PBS_JOBID": "PBS job",
             "LSB_JOBID": "LSF job"}  # fmt: skip
    return [name for variable, name in known.items() if variable in os.environ]


def _versions() -> Iterable[tuple[str, str]]:
    yield "python", f"{platform.python_version()} at {sys.executable}"
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _provider() -> Iterable[tuple[str, str]]:
    for name in KEY_VARIABLES:
        yield name, "set (not shown)" if os.environ.get(name, "").strip() else "not set"
    for name in SETTINGS:
        value = os.environ.get(name, "")
        # A password may stand in an address.
        shown = re.split(r"[?#]", re.sub(r"//.*@", "//[not shown]@", value), maxsplit=1)[0]
        yield name, shown if value else "not set"
    try:
        files = places(
            chosen=persons_file_of_providers(), workdir=Path.cwd(), beside=None, environment=os.environ
        )  # fmt: skip
        named = read_providers(files)
    except AgentError as error:
        yield "providers of yours", str(error)
        return
    for provider in named.values():
        variable = provider.key_variable
        key = f"{variable} {'set' if os.environ.get(variable, '').strip() else 'not set'}" if variable else "no key"
        yield f"{provider.name}:NAME", f"{provider.base_url} ({provider.speaks}), {key}; {provider.place}"


def _first_line(path: str, otherwise: str) -> str:
    return (_text(path).splitlines() or [otherwise])[0].strip() or otherwise


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def in_words(found: Diagnosis) -> str:
    """For a person, and for a person to send to another."""
    lines = []
    if found.backend is None:
        lines += [found.reason, "", FOR_ADMINS]
    else:
        chosen = "" if found.wanted == "auto" else f" (chosen by LLMAGENT_SANDBOX={found.wanted})"
        words = WORDS[found.backend]
        if found.machine["Landlock"] == NO_LANDLOCK:
            words = words.replace("Landlock and seccomp", "seccomp")
        lines += [f"Scripts of models are confined here by {found.backend}{chosen}.", f"  {words}."]
        lines += [ADVICE[found.backend]]
    lines += ["", "What was tried"]
    for tried in found.tried:
        took = f" ({1000 * tried.seconds:.0f} ms)" if tried.works else ""
        lines.append(f"  {tried.backend:16} {'works' + took if tried.works else 'does not work: ' + tried.reason}")
    for title, facts in (("This machine", found.machine), ("Versions", found.versions), ("Providers", found.provider)):
        width = max(len(name) for name in facts)
        lines += ["", title, *(f"  {name:{width}}  {value}" for name, value in facts.items())]
    return "\n".join(lines)
