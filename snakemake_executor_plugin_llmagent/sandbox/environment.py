"""The environment that a script gets: an allow list, never a copy with some names struck out."""

from __future__ import annotations

import site
from collections.abc import Mapping
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox.order import Wish

ALLOWED = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "LD_LIBRARY_PATH", "LIBRARY_PATH",
        "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_EXE", "CONDA_SHLVL",
        "MAMBA_EXE", "MAMBA_ROOT_PREFIX", "ROOTSYS", "ROOT_INCLUDE_PATH", "CMAKE_PREFIX_PATH", "LHAPDF_DATA_PATH",
        "PYTHIA8DATA", "CORRECTIONLIB_DIR", "MODULEPATH", "LMOD_CMD", "CUDA_VISIBLE_DEVICES",
    }
)  # fmt: skip
"""Names that a script may see: where programs and libraries lie, and the language. The supervisor adds `LC_*`."""


def wish(*, scratch: Path, managed: bool, outer: Mapping[str, str], added: Mapping[str, str]) -> Wish:
    """The environment of a script.

    Args:
        scratch: a folder of its own, where it finds what was prepared for it (fonts and the like).
        managed: whether an environment manager adds variables on the way.
        outer: the environment before it does.
        added: what the job adds, such as thread counts.
    """
    # Packages under ~/.local must be found although HOME is another one there.
    user_base = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return Wish(
        keep=tuple(sorted(ALLOWED)),
        known=tuple(sorted(outer)) if managed else None,
        set={
            **user_base,
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": str(scratch / "matplotlib"),
            "NUMBA_CACHE_DIR": str(scratch / "numba"),
            "XDG_CACHE_HOME": str(scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "TERM": "dumb",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "ZFIT_DISABLE_TF_WARNINGS": "1",
            **added,
        },
    )


def everything(outer: Mapping[str, str]) -> Wish:
    """The whole environment: for programs of the person's own."""
    return Wish(keep=(), set=dict(outer))
