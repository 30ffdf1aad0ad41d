from __future__ import annotations

from tests.corpus.problems import Mutant

UP = '    "scale_up": (m_yy * (1 + scale_uncertainty), events["weight"]),\n'
DOWN = '    "scale_down": (m_yy * (1 - scale_uncertainty), events["weight"]),\n'
PILEUP_UP = '    "pileup_up": (m_yy, events["weight_pileup_up"]),\n'
PILEUP_DOWN = '    "pileup_down": (m_yy, events["weight_pileup_down"]),\n'

MUTANTS = (
    Mutant(
        name="both_up",
        kind="up and down variations identical",
        source="brief; JFC's list",
        changes=((DOWN, '    "scale_down": (m_yy * (1 + scale_uncertainty), events["weight"]),\n'),),
    ),
    Mutant(
        name="never_applied",
        kind="variation without effect",
        source="JFC's list: systematics with exactly zero effect",
        changes=(
            (UP, '    "scale_up": (m_yy, events["weight"]),\n'),
            (DOWN, '    "scale_down": (m_yy, events["weight"]),\n'),
        ),
    ),
    Mutant(
        name="ten_times_too_large",
        kind="wrong size of a variation",
        source="experience: per cent and per mille",
        changes=(
            (
                "scale_uncertainty = float(snakemake.params.scale_uncertainty)",
                "scale_uncertainty = 10 * float(snakemake.params.scale_uncertainty)  # per cent",
            ),
        ),
    ),
    Mutant(
        name="exchanged",
        kind="up and down exchanged",
        source="experience",
        changes=(
            (PILEUP_UP, '    "pileup_up": (m_yy, events["weight_pileup_down"]),\n'),
            (PILEUP_DOWN, '    "pileup_down": (m_yy, events["weight_pileup_up"]),\n'),
        ),
    ),
    Mutant(
        name="unweighted_variations",
        kind="weights ignored",
        source="LLM4HEP",
        changes=(
            (UP, '    "scale_up": (m_yy * (1 + scale_uncertainty), None),\n'),
            (DOWN, '    "scale_down": (m_yy * (1 - scale_uncertainty), None),\n'),
        ),
    ),
    Mutant(
        name="no_sumw2",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list; ROOT without Sumw2",
        changes=(
            ("storage=hist.storage.Weight()", "storage=hist.storage.Double()"),
            (
                "        error = np.sqrt(histogram.variances().sum())\n",
                "        error = np.sqrt(abs(histogram.values().sum()))\n",
            ),
        ),
    ),
    Mutant(
        name="accumulated",
        kind="variation on top of another",
        source="experience: arrays changed in place",
        changes=(
            (DOWN, '    "scale_down": (m_yy * (1 + scale_uncertainty) * (1 - scale_uncertainty), events["weight"]),\n'),
        ),
    ),
    Mutant(
        name="weight_twice",
        kind="weight applied twice",
        source="data.md section 6.2: a factor applied twice",
        changes=(
            (PILEUP_UP, '    "pileup_up": (m_yy, events["weight"] * events["weight_pileup_up"]),\n'),
            (PILEUP_DOWN, '    "pileup_down": (m_yy, events["weight"] * events["weight_pileup_down"]),\n'),
        ),
    ),
    Mutant(
        name="mirrored",
        kind="variation not computed",
        source="experience: down as 2 nominal - up",
        changes=((PILEUP_DOWN, '    "pileup_down": (m_yy, 2 * events["weight"] - events["weight_pileup_up"]),\n'),),
    ),
    Mutant(
        name="half_percent_by_hand",
        kind="parameter ignored",
        source="experience",
        changes=(("scale_uncertainty = float(snakemake.params.scale_uncertainty)", "scale_uncertainty = 0.01"),),
    ),
    Mutant(
        name="jittered",
        kind="random smearing",
        source="experience: random numbers where a shift is asked for",
        changes=(
            (
                UP,
                '    "scale_up": (m_yy * np.random.default_rng().normal(1 + scale_uncertainty, scale_uncertainty, len(m_yy)), events["weight"]),\n',
            ),
        ),
    ),
)
