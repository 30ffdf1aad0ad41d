"""The environment that a script gets: an allow list, never a copy with some names struck out."""

from __future__ import annotations

import site
from collections.abc import Mapping
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN

ALLOWED = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "LD_LIBRARY_PATH", "LIBRARY_PATH",
        "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_EXE", "CONDA_SHLVL",
        "MAMBA_EXE", "MAMBA_ROOT_PREFIX", "ROOTSYS", "ROOT_INCLUDE_PATH", "CMAKE_PREFIX_PATH", "LHAPDF_DATA_PATH",
        "PYTHIA8DATA", "CORRECTIONLIB_DIR", "MODULEPATH", "LMOD_CMD", "CUDA_VISIBLE_DEVICES", "XRD_NETWORKSTACK",
    }
)  # fmt: skip
"""Names that a script may see: where programs and libraries lie, and the language."""


def clean_environment(
    outer: Mapping[str, str], *, home: Path, scratch: Path, cache: Path, token: str, added: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a trial.

    Args:
        outer: the environment of this process.
        home: an empty directory that stands for the home directory.
        scratch: an empty directory for temporary files.
        cache: a directory that trials of this project share for fonts and the like.
        token: value of the mark.
        added: what the job adds, such as thread counts.
    """
    allowed = {name: value for name, value in outer.items() if name in ALLOWED or name.startswith("LC_")}
    # Packages under ~/.local must be found although HOME is another one now.
    user_base = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return {
        **allowed,
        **user_base,
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "XDG_CACHE_HOME": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "ZFIT_DISABLE_TF_WARNINGS": "1",
        **added,
        TOKEN: token,
    }
