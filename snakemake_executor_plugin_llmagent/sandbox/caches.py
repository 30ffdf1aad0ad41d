"""Caches that libraries fill slowly (matplotlib's list of fonts), made once and handed to each script as a copy.

Scripts never write into what others get: a cache that one could fill would be a way into all others. So each script
gets a copy of its own, and what is copied was made by programs of ours, or by the person (numba's cache in the home
directory), never by a script of a model.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

FONTS = "matplotlib"
_FONT_LISTS = "fontlist-*.json"
_MAKING = threading.Lock()
_PATIENCE_SECONDS = 120.0
NUMBA_BYTES = 64 << 20
"""A larger cache of numba is not copied: it would take longer than compiling what one script needs."""
_MAKE_FONTS = "import matplotlib.font_manager"


def prepare(cache: Path, scratch: Path, outer: Mapping[str, str]) -> None:
    """Put what there is into a script's own folder.

    Args:
        cache: what was made for all scripts of this project.
        scratch: the script's folder for caches.
        outer: the person's environment, which says where their numba keeps its cache.
    """
    (scratch / FONTS).mkdir(parents=True, exist_ok=True)
    for place in (cache / FONTS).glob(_FONT_LISTS):
        shutil.copyfile(place, scratch / FONTS / place.name)
    mine = _numba(outer)
    if mine is not None and _size(mine) <= NUMBA_BYTES:
        with contextlib.suppress(OSError):  # it is changing while we look; the script compiles for itself
            shutil.copytree(mine, scratch / "numba", dirs_exist_ok=True)


def _numba(outer: Mapping[str, str]) -> Path | None:
    """Where the person's own numba keeps what it compiled."""
    if named := outer.get("NUMBA_CACHE_DIR"):
        place = Path(named)
    else:
        base = outer.get("XDG_CACHE_HOME") or os.path.join(outer.get("HOME", str(Path.home())), ".cache")
        place = Path(base) / "numba"
    return place if place.is_dir() else None


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
        if total > NUMBA_BYTES:
            break
    return total


def learn(cache: Path, scratch: Path) -> None:
    """Make for the next scripts what this one had to make for itself; nothing of the script's own is taken.

    Another Python (conda, a container) names its lists by its own version of matplotlib; its scripts make their own.
    """
    made = {place.name for place in (scratch / FONTS).glob(_FONT_LISTS)} if (scratch / FONTS).is_dir() else set()
    known = {place.name for place in (cache / FONTS).glob(_FONT_LISTS)}
    if made <= known:
        return
    with _MAKING:
        _make_fonts(cache)


def _make_fonts(cache: Path) -> None:
    if any((cache / FONTS).glob(_FONT_LISTS)):
        return
    new = cache / f"{FONTS}.{os.getpid()}"
    try:
        new.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(new), "MPLCONFIGDIR": str(new), "MPLBACKEND": "Agg",
        }  # fmt: skip
        command = (sys.executable, "-I", "-c", _MAKE_FONTS)
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_SECONDS,
            check=False, cwd="/",
        )  # fmt: skip
        lists = list(new.glob(_FONT_LISTS))
        if done.returncode == 0 and lists:
            (cache / FONTS).mkdir(exist_ok=True)
            for place in lists:
                place.replace(cache / FONTS / place.name)
    except (OSError, subprocess.TimeoutExpired):
        pass  # scripts go on making their own
    finally:
        shutil.rmtree(new, ignore_errors=True)
