"""What plots of spectra share: truthful labels, colours, errors of counts, head-room for legends."""

import contextlib
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput

STATUSES = {"Simulation": True, "Simulation Open Data": True, "Toy Data": True, "Open Data": False}
"""What may stand beside an experiment's name, and whether the shown data are then simulated."""
EXPERIMENTS = ("", "ATLAS", "CMS")
RESERVED = ("preliminary", "internal", "work in progress", "supplementary", "final", "official", "paper", "approved")
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
"""Ten colours that people with each kind of colour blindness can tell apart (M. Petroff, arXiv:2107.02270)."""
LABELS = {"experiment": "", "status": None, "luminosity": None, "energy": None, "text": ""}
"""The params of labels, and their defaults."""


def check_label(given: Mapping[str, Any], *, has_data: bool) -> str:
    """Return the status to print beside the experiment's name.

    Raises:
        WrongInput: if the status is a collaboration's own, or says other than what is shown.
    """
    experiment, status = given["experiment"], given["status"]
    if experiment not in EXPERIMENTS:
        raise WrongInput(f'params: experiment={experiment!r} is none of "", "ATLAS", "CMS"')
    words = ", ".join(f'"{one}"' for one in STATUSES)
    if status is None and not has_data:
        return "Simulation"
    if status is None:
        raise WrongInput(f"params: status is missing: there are data in this plot, so say what they are ({words})")
    if any(word in str(status).lower() for word in RESERVED):
        said = f"{experiment or 'an experiment'} gives such labels to its own reviewed results"
        raise WrongInput(f"params: status={status!r}: {said}; a plot made with open data or simulation says {words}")
    if status not in STATUSES:
        raise WrongInput(f"params: status={status!r} is none of {words}")
    if not has_data and not STATUSES[status]:
        raise WrongInput(f'params: status={status!r}, but there are no data in this plot: it must say "Simulation"')
    return str(status)


def data_name(status: str) -> str:
    """Return what points are called in a legend: simulated ones are no data."""
    return "Pseudo-data" if STATUSES[status] else "Data"


def beam(luminosity: Any, energy: Any) -> str:
    """Return "√s = 13 TeV, 36.1 fb⁻¹" from the params `luminosity` (fb⁻¹, or text with a unit) and `energy` (TeV)."""
    parts = []
    if energy is not None:
        parts.append(rf"$\sqrt{{s}} = \mathrm{{{energy:g}}}$ TeV" if isinstance(energy, int | float) else str(energy))
    if luminosity is not None:
        number = isinstance(luminosity, int | float)
        parts.append(rf"{luminosity:g} fb$^{{\mathrm{{-1}}}}$" if number else str(luminosity))
    return ", ".join(parts)


@contextlib.contextmanager
def plot_style() -> Iterator[None]:
    """Set matplotlib up as mplhep's ATLAS style does, at sizes for a figure of some six inches."""
    import matplotlib as mpl
    import mplhep

    # it would warn of each root sign
    logging.getLogger("matplotlib.mathtext").setLevel(logging.ERROR)
    sizes = {
        "font.size": 12,
        "axes.labelsize": 14,
        "legend.fontsize": 10.5,
        "xtick.labelsize": 12,
        "ytick.labelsize": 12,
    }
    ticks = {"xtick.major.size": 7, "xtick.minor.size": 3.5, "ytick.major.size": 8, "ytick.minor.size": 4}
    plain = {"legend.frameon": False, "axes.formatter.useoffset": False, "svg.hashsalt": "phys", "hatch.linewidth": 0.6}
    with mpl.rc_context():
        mpl.rcParams.update({**mplhep.style.ATLAS, **sizes, **ticks, **plain})
        yield


def panels(figure: Any, place: Any, *, second: bool) -> tuple[Any, Any]:
    """Return the axes of a plot, and of a lower panel that touches it (or nothing), at a place of a grid."""
    if not second:
        return figure.add_subplot(place), None
    grid = place.subgridspec(2, 1, height_ratios=(3, 1), hspace=0)
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    upper.tick_params(labelbottom=False)
    return upper, lower


def put_label(axes: Any, given: Mapping[str, Any], status: str) -> None:
    """Write experiment and status above the axes on the left, energy and luminosity on the right."""
    from mplhep.label import exp_text

    exp_text(
        given["experiment"],
        status,
        lumi=beam(given["luminosity"], given["energy"]),
        loc=0,
        ax=axes,
        fontsize=(15, 13, 12, 10),
        fontstyle=("italic" if given["experiment"] == "ATLAS" else "normal", "normal", "normal", "normal"),
    )


def put_legend(axes: Any, handles: Sequence[Any], names: Sequence[str], *, text: str = "", width: int = 52) -> float:
    """Put a legend at the top of the axes, and text below it on the left; return the share of height they need.

    Args:
        axes: of the plot.
        handles: what is explained.
        names: one for each; long ones are broken.
        text: lines for the upper left.
        width: how many letters fit beside each other.
    """
    lines = text.splitlines()
    longest = max((_shown_length(name) for name in names), default=1)
    beside = bool(lines) and longest + max(map(_shown_length, lines)) + 8 <= width
    columns = 1 if beside else min(max(1, width // (longest + 6)), 3, max(1, len(names)))
    broken = [name if "$" in name else "\n".join(textwrap.wrap(name, width - 8)) or name for name in names]
    axes.legend(
        handles, broken, loc="upper right", ncols=columns, columnspacing=1.2, handlelength=1.6, borderaxespad=0.6
    )
    length = -(-len(names) // columns) or 1
    rows = max(sum(1 + name.count("\n") for name in broken[at : at + length]) for at in range(0, len(names), length))
    inches = axes.get_position().height * axes.figure.get_figheight()
    below = 0.0 if beside else rows * 0.2 + 0.08
    if lines:
        axes.text(0.03, 1 - (0.1 + below) / inches, text, transform=axes.transAxes, va="top", linespacing=1.3)
    needed = max(rows * 0.2, below + len(lines) * 0.23 if lines else 0) + 0.2
    return float(min(needed / inches, 0.6))


def _shown_length(name: str) -> int:
    """Guess how many letters wide a name is, formulas being shorter than their source."""
    parts = name.split("$")
    return sum(len(part) if place % 2 == 0 else max(2, len(part) // 4) for place, part in enumerate(parts))


def give_room(axes: Any, low: float, high: float, share: float, *, log: bool = False) -> None:
    """Set the vertical range so that contents from `low` to `high` leave the upper `share` of the axes free."""
    high = high if high > 0 else 1.0
    if log:
        bottom = 10 ** np.floor(np.log10(max(low, high * 1e-6)) - 0.3)
        axes.set_yscale("log")
        axes.set_ylim(bottom, bottom * (high / bottom) ** (1.05 / (1 - share)))
    else:
        bottom = 1.1 * min(low, 0.0)
        axes.set_ylim(bottom, bottom + (high * 1.05 - bottom) / (1 - share))


def per_bin(what: str, edges: np.ndarray, unit: str) -> str:
    """Return a label for the vertical axis, such as "Events / 2 GeV"."""
    widths = np.diff(edges)
    if not np.allclose(widths, widths[0], rtol=1e-6):
        return f"{what} / bin"
    if np.isclose(widths[0], 1, rtol=1e-6):
        return f"{what} / {unit or 'bin'}"
    return f"{what} / {widths[0]:.3g} {unit}".rstrip()


def interval(name: str, value: Any) -> tuple[float, float] | None:
    """Return a param that is two rising numbers, or nothing."""
    if value is None:
        return None
    good = isinstance(value, list | tuple) and len(value) == 2
    if not (good and all(isinstance(one, int | float) for one in value) and value[0] < value[1]):
        raise WrongInput(f"params: {name}={value!r}: two numbers are needed, such as [120, 130]")
    return float(value[0]), float(value[1])


def hidden(edges: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Return which bins touch the blinded window, shape (n,), bool; a bin that only shares its edge is shown."""
    if window is None:
        return np.zeros(len(edges) - 1, dtype=bool)
    slack = 1e-9 * (edges[-1] - edges[0])
    return (edges[:-1] < window[1] - slack) & (edges[1:] > window[0] + slack)
