from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

READ = "mass = uproot.open(snakemake.input[0])['events']['m_yy'].array(library='np')\nfig, ax = plt.subplots()\n"
HIST = "ax.hist(mass, bins=50)\n"
SAVE = "fig.savefig(snakemake.output[1])\n"


def test_a_figure_without_labels() -> None:
    findings = found(trial(READ + HIST + SAVE))
    assert told(findings) == error("script.axis_label")
    assert "the x axis and the y axis" in findings[0].message
    assert told(found(trial(READ + "plt.plot(mass)\nplt.title('mass')\nplt.savefig(snakemake.output[1])\n"))) == error(
        "script.axis_label"
    )


def test_empty_labels() -> None:
    nothing = "ax.set_xlabel('')\nax.set_ylabel('')\n"
    assert told(found(trial(READ + HIST + nothing + SAVE))) == error("script.axis_label")
    below = "ax.set_xlabel('')\nax.set_ylabel('events')\nax.set_xlabel('m')\n"
    assert found(trial(READ + HIST + below + SAVE)) == ()


@pytest.mark.parametrize(
    "label", ["ax.set_xlabel('m [GeV]')\n", "plt.xlabel('m')\n", "ax.set(xlabel='m')\n", "ax.set_ylabel('events')\n"]
)
def test_one_label_is_missing(label: str) -> None:
    assert told(found(trial(READ + HIST + label + SAVE))) == warning("script.axis_label")


@pytest.mark.parametrize(
    "source",
    [
        HIST + "ax.set_xlabel('m')\nax.set_ylabel('events')\n",
        HIST + "plt.xlabel('m')\nplt.ylabel('events')\n",
        HIST + "ax.set(xlabel='m', ylabel='events')\n",
        HIST + "fig.supxlabel('m')\nfig.supylabel('events')\n",
        HIST + "labels = {'xlabel': 'm', 'ylabel': 'events'}\nax.set(**labels)\n",
        HIST + "for axis in (ax,):\n    getattr(axis, 'set_xlabel')('m')\n    getattr(axis, 'set_ylabel')('n')\n",
        "import mplhep\nmplhep.histplot(np.histogram(mass), ax=ax)\n",
        "import hist\nhist.Hist.new.Reg(10, 0, 1).Double().fill(mass).plot(ax=ax)\n",
        "import seaborn as sns\nsns.histplot(mass, ax=ax)\n",
        "pd.DataFrame({'m': mass}).plot(y='m', ax=ax)\n",
        "ax.imshow(np.outer(mass, mass))\nax.axis('off')\n",
        "ax.pie(mass)\n",
        "m = Minuit(len, x=mass[0])\nm.migrad()\nprint(m.valid)\nm.draw_profile('x')\n",
        "import cartopy.crs\nax.plot(mass)\n",
        HIST + "ax.xaxis.set_label_text('m')\nax.yaxis.set_label_text('events')\n",
        HIST + "fig.text(0.5, 0.01, 'm [GeV]')\nfig.text(0.01, 0.5, 'events', rotation=90)\n",
    ],
)
def test_figures_that_are_labelled_or_have_no_axes(source: str) -> None:
    assert found(trial(READ + source + SAVE)) == ()


def test_scripts_that_draw_no_figure_of_the_rule() -> None:
    assert found(trial(READ + HIST + SAVE, outputs=("fit.json", "fit.txt"))) == ()
    assert found(trial("import shutil\nshutil.copy(snakemake.input[0], snakemake.output[1])\n")) == ()
