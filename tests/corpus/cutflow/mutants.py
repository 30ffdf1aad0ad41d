from __future__ import annotations

from tests.corpus.problems import Mutant

MUTANTS = (
    Mutant(
        name="each_cut_alone",
        kind="cut flow not cumulative",
        source="brief; JFC's list: cut flow monotonic",
        changes=(("    passed = passed & cut\n", "    passed = cut\n"),),
    ),
    Mutant(
        name="starts_after_trigger",
        kind="first entry is not all events",
        source="JFC's list",
        changes=(
            (
                "passed = np.ones(n, dtype=bool)\ncutflow = []\n",
                'passed = a["pass_trigger"].astype(bool)\ncutflow = []\n',
            ),
        ),
    ),
    Mutant(
        name="yield_counts",
        kind="weights ignored",
        source="LLM4HEP",
        changes=(
            ('"yield": float(kept.sum()),', '"yield": float(len(kept)),'),
            ('"error": float(np.sqrt((kept**2).sum())),', '"error": float(np.sqrt(len(kept))),'),
        ),
    ),
    Mutant(
        name="sqrt_n",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list",
        changes=(('"error": float(np.sqrt((kept**2).sum())),', '"error": float(np.sqrt(len(kept))),'),),
    ),
    Mutant(
        name="sqrt_yield",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list",
        changes=(('"error": float(np.sqrt((kept**2).sum())),', '"error": float(np.sqrt(abs(kept.sum()))),'),),
    ),
    Mutant(
        name="crack_with_or",
        kind="cut that never cuts",
        source="data.md section 6.1",
        changes=(
            (
                "(np.abs(eta) < CRACK[0]) | (np.abs(eta) > CRACK[1])",
                "(np.abs(eta) < CRACK[1]) | (np.abs(eta) > CRACK[0])",
            ),
        ),
    ),
    Mutant(
        name="isolation_reversed",
        kind="cut the wrong way round",
        source="experience",
        changes=(
            (
                "(iso1 / pt1 < max_isolation) & (iso2 / pt2 < max_isolation)",
                "(iso1 / pt1 > max_isolation) & (iso2 / pt2 > max_isolation)",
            ),
        ),
    ),
    Mutant(
        name="second_photon_forgotten",
        kind="cut on the wrong object",
        source="AgentRivet",
        changes=(
            (
                "(iso1 / pt1 < max_isolation) & (iso2 / pt2 < max_isolation)",
                "(iso1 / pt1 < max_isolation) & (iso1 / pt1 < max_isolation)",
            ),
        ),
    ),
    Mutant(
        name="threshold_in_mev",
        kind="MeV for GeV",
        source="data.md section 2",
        changes=(("(pt1 > MIN_PT[0]) & (pt2 > MIN_PT[1])", "(pt1 * 1000 > MIN_PT[0]) & (pt2 * 1000 > MIN_PT[1])"),),
    ),
    Mutant(
        name="averaged_error",
        kind="error too small",
        source="brief: error too small by averaging",
        changes=(
            ('"error": float(np.sqrt((kept**2).sum())),', '"error": float(np.sqrt((kept**2).sum() / len(kept))),'),
        ),
    ),
    Mutant(
        name="parameter_ignored",
        kind="parameter ignored",
        source="experience: a number of the sentence or a paper in the place of the parameter",
        changes=(("max_isolation = float(snakemake.params.max_isolation)", "max_isolation = 0.05"),),
    ),
    Mutant(
        name="negative_dropped",
        kind="negative weights dropped",
        source="experience with NLO samples",
        changes=(("    kept = weight[passed]\n", "    kept = weight[passed & (weight > 0)]\n"),),
    ),
)
