"""What a confined script can see: system libraries, software, its inputs, its own folders. Standard library alone."""

from __future__ import annotations

import os

from snakemake_executor_plugin_llmagent.sandbox import landlock

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/cvmfs")
"""Programs and libraries, the same for everybody on the machine."""
SETTINGS = tuple(
    f"/etc/{name}"
    for name in (
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "alternatives", "localtime", "timezone",
        "nsswitch.conf", "fonts", "mime.types", "host.conf", "os-release", "debian_version", "redhat-release",
    )
)  # fmt: skip
HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
PROC_FILES = tuple(
    f"/proc/{name}"
    for name in (
        "cpuinfo", "meminfo", "stat", "filesystems", "version", "loadavg", "uptime", "self",
        "sys/kernel/cap_last_cap", "sys/vm/overcommit_memory", "sys/vm/max_map_count", "sys/kernel/ngroups_max",
        "sys/kernel/osrelease", "sys/kernel/pid_max", "sys/kernel/random/boot_id", "sys/kernel/random/uuid",
    )
)  # fmt: skip
"""Facts about the machine; nothing about other processes."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
RANDOM = ("/dev/random", "/dev/urandom")
SHARED = ("/dev/shm",)
"""Where libraries write without asking where they should; in a namespace of its own a script has its own."""
PATH_LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH", "ROOTSYS", "ROOT_INCLUDE_PATH", "LHAPDF_DATA_PATH", "PYTHIA8DATA",
              "CORRECTIONLIB_DIR", "CMAKE_PREFIX_PATH")  # fmt: skip
"""Variables by which a person's set-up says where software lies."""
_WITH_SOFTWARE = ("bin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc", "pyvenv.cfg")
_CONDA = "conda-meta"
_CONDA_HIDDEN = (_CONDA, "envs", "pkgs")
"""`conda-meta/state` has the variables of an environment, which people use for passwords too; below the base
environment lie the others with theirs."""


def own_python() -> list[str]:
    """The places of the Python that runs this, as given and as they are without links."""
    import sys

    found = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    return [*found, *(os.path.realpath(place) for place in found), *python_places(sys.executable)]


def python_places(program: str) -> list[str]:
    """The prefixes of every link on the way to a Python (`/a/bin/python` → `/b/bin/python3` → ...).

    And that of the Python that a virtual environment was made from.
    """
    found: list[str] = []
    pending = [program]
    while pending and len(found) < 20:
        program = pending.pop()
        folder = os.path.dirname(program)
        prefix = os.path.normpath(os.path.join(folder, "..")) if os.path.basename(folder) == "bin" else folder
        found.append(prefix)
        if os.path.islink(program):
            pending.append(os.path.join(os.path.dirname(program), os.readlink(program)))
        try:
            with open(os.path.join(prefix, "pyvenv.cfg")) as handle:
                homes = [line.partition("=")[2].strip() for line in handle if line.partition("=")[0].strip() == "home"]
        except OSError:
            continue
        pending += [os.path.join(home, os.path.basename(program)) for home in homes]
    return [*found, *(os.path.realpath(place) for place in found)]


def software(places: list[str], guarded: list[str]) -> list[str]:
    """Directories with software, less those that would show what is guarded, each once and none inside another.

    A prefix that holds the project or the home directory (`pip install --prefix ~`, say) is shown in part.
    """
    wanted: list[str] = []
    for place in places:
        if not os.path.isabs(place):
            continue
        place = os.path.normpath("/" + place.lstrip("/"))
        if place == "/" or _below_system(place):
            continue
        if _shows(place, guarded):
            wanted += [part for name in _WITH_SOFTWARE if not _shows(part := os.path.join(place, name), guarded)]
        elif os.path.isdir(os.path.join(place, _CONDA)):
            wanted += [os.path.join(place, name) for name in sorted(os.listdir(place)) if name not in _CONDA_HIDDEN]
        else:
            wanted.append(place)
    return outermost([place for place in wanted if os.path.exists(place)])


def from_environment(environment: dict[str, str], guarded: list[str]) -> list[str]:
    """Places that the person's set-up names as holding software, unless they are the project or the home directory."""
    found = [place for name in PATH_LISTS for place in environment.get(name, "").split(":") if place]
    return [place for place in found if os.path.isdir(place) and not _shows(os.path.normpath(place), guarded)]


def _shows(place: str, guarded: list[str]) -> bool:
    """Whether a place is guarded or holds something that is."""
    real = os.path.realpath(place)
    return any(is_within(other, place) or is_within(os.path.realpath(other), real) for other in guarded)


def _below_system(place: str) -> bool:
    return any(is_within(place, folder) for folder in SYSTEM)


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def outermost(places: list[str]) -> list[str]:
    """Each place once, and none that lies inside another."""
    kept: list[str] = []
    for place in sorted(set(places), key=lambda place: place.split("/")):
        if not kept or not is_within(place, kept[-1]):
            kept.append(place)
    return kept


def rules(
    *, software: list[str], readable: list[str], writable: list[str], shared: tuple[str, ...], proc: bool
) -> list[tuple[str, int]]:
    """What Landlock leaves.

    Args:
        software: directories with programs and libraries.
        readable: inputs and the like.
        writable: the script's own folders.
        shared: which of `SHARED` are its own, so that it may write there.
        proc: whether `/proc` shows its own processes only.
    """
    run, read = landlock.READ_AND_RUN, landlock.READ
    made = [(place, run) for place in (*SYSTEM, *software)]
    made += [(place, read) for place in (*SETTINGS, *HARDWARE, *readable)]
    made += [(place, landlock.DEVICE) for place in DEVICES] + [(place, landlock.READ_FILE) for place in RANDOM]
    made += [(place, landlock.WRITE_AND_RUN) for place in writable]
    made += [(place, landlock.WRITE_AND_RUN | landlock.MAKE_SOCK | landlock.MAKE_FIFO) for place in shared]
    made += [("/proc", read)] if proc else [(place, read) for place in PROC_FILES]
    return made
