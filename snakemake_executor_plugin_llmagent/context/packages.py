"""Which packages a script may import."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata

ANALYSIS = frozenset(
    {
        "awkward", "boost-histogram", "cabinetry", "coffea", "correctionlib", "dask", "dask-awkward", "evermore",
        "fastjet", "fsspec", "fsspec-xrootd", "h5py", "hepdata-lib", "hepstats", "hepunits", "hist", "iminuit", "jax",
        "jsonschema", "lightgbm", "lmfit", "matplotlib", "mplhep", "networkx", "numba", "numba-stats", "numexpr",
        "numpy", "pandas", "particle", "pillow", "polars", "pyarrow", "pyhepmc", "pyhf", "pylhe", "pythia8mc",
        "pyyaml", "requests", "rich", "scikit-learn", "scipy", "seaborn", "statsmodels", "sympy", "tables",
        "tabulate", "tensorflow", "tensorflow-probability", "torch", "tqdm", "uncertainties", "uhi", "uproot",
        "vector", "xarray", "xgboost", "xgboost-cpu", "xrootd", "zarr", "zfit",
    }
)  # fmt: skip
"""Packages that analyses import, whoever else needs them."""

_TOOLS = re.compile(
    r"pip|setuptools|wheel|hatchling|mypy|ruff|black|isort|tox|nox|twine|build|pre-commit|coverage|hypothesis|"
    r"pytest.*|types-.*|snakemake.*|openai|anthropic|ipython|jupyter.*|ipykernel|pudb|debugpy"
)
"""Packages that people work with, and no analysis imports."""


def python_version() -> str:
    """The version of the Python that runs this."""
    return platform.python_version()


@cache
def importable_packages() -> Mapping[str, str]:
    """The packages worth naming to an author, by distribution, with their versions.

    These are the ones that analyses import, and those that nothing else needs: somebody wanted them. What they need in
    turn is installed too, and is left out.
    """
    versions: dict[str, str] = {}
    needed: set[str] = set()
    for distribution in metadata.distributions():
        name = _normal(distribution.metadata["Name"] or "")
        versions.setdefault(name, distribution.version)
        needed |= {_normal(_requirement(line)) for line in distribution.requires or () if "extra ==" not in line}
    wanted = {name for name in versions if name in ANALYSIS or (name not in needed and not _TOOLS.fullmatch(name))}
    return {name: versions[name] for name in sorted(wanted - {""})}


def _normal(name: str) -> str:
    """A name as the package index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(line: str) -> str:
    match = re.match(r"[\w.-]+", line)
    return match.group() if match else ""
