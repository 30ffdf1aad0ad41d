from __future__ import annotations

from tests.corpus.problems import Mutant

MUTANTS = (
    Mutant(
        name="ninety_per_cent",
        kind="wrong confidence level",
        source="experience: alpha halved or doubled",
        changes=(
            ("    alpha = 1.0 - confidence_level\n", "    alpha = 2.0 * (1.0 - confidence_level)  # one-sided\n"),
        ),
    ),
    Mutant(
        name="cls_plus_b",
        kind="wrong statistic",
        source="experience: CLs+b given as CLs",
        changes=(
            ("        return at_most(n, mu) / p_background - alpha\n", "        return at_most(n, mu) - alpha\n"),
            ("    p_background = at_most(n, 0.0)\n", ""),
            ("    high = 1.0\n", "    if difference(0.0) <= 0:\n        return 0.0\n    high = 1.0\n"),
        ),
    ),
    Mutant(
        name="bands_reversed",
        kind="expected bands in wrong order",
        source="brief; experience with pyhf's order of bands",
        changes=(
            (
                "expected = {name: upper_limit(quantile(z)) for name, z in QUANTILES.items()}",
                "expected = {name: upper_limit(quantile(-z)) for name, z in QUANTILES.items()}",
            ),
        ),
    ),
    Mutant(
        name="fewer_than",
        kind="wrong tail",
        source="DESIGN 7: the wrong tail; P(n < n_obs) for P(n <= n_obs)",
        changes=(("gammaincc(n + 1, mu * signal + backgrounds)", "gammaincc(max(n, 1), mu * signal + backgrounds)"),),
    ),
    Mutant(
        name="signal_unweighted",
        kind="weights ignored",
        source="LLM4HEP",
        changes=(
            (
                "signal = float(in_region(snakemake.input.signal).sum())",
                "signal = float(len(in_region(snakemake.input.signal)))",
            ),
        ),
    ),
    Mutant(
        name="no_uncertainty",
        kind="uncertainty ignored",
        source="JFC's list: systematics with exactly zero effect",
        changes=(
            (
                "backgrounds = background * (1.0 + background_uncertainty * ndtri(probability))",
                "backgrounds = background * np.ones(N_NODES)",
            ),
        ),
    ),
    Mutant(
        name="observed_from_memory",
        kind="hard-coded result",
        source="Collider-Bench: fabricated results",
        changes=(("n_observed = len(data)\n", "n_observed = 29\n"),),
    ),
    Mutant(
        name="acceptance_forgotten",
        kind="acceptance forgotten",
        source="data.md section 6.3: divides by the selected integral",
        changes=(
            (
                "signal = float(in_region(snakemake.input.signal).sum())\n",
                "# expected signal events at mu = 1\n"
                'signal = float(pq.read_table(snakemake.input.signal)["weight"].to_numpy().sum())\n',
            ),
        ),
    ),
    Mutant(
        name="asimov_as_observed",
        kind="result does not depend on the data",
        source="experience: blinded code unblinded by name only",
        changes=(("observed = upper_limit(n_observed)\n", "observed = upper_limit(round(background))\n"),),
    ),
    Mutant(
        name="one_sigma_twice",
        kind="up and down variations identical",
        source="JFC's list: systematics never applied",
        changes=(
            (
                'QUANTILES = {"-2": -2.0, "-1": -1.0, "0": 0.0, "1": 1.0, "2": 2.0}',
                'QUANTILES = {"-2": -1.0, "-1": -1.0, "0": 0.0, "1": 1.0, "2": 1.0}',
            ),
        ),
    ),
    Mutant(
        name="never_tighter_score",
        kind="cut that never cuts",
        source="data.md section 6.1",
        changes=(
            (
                "(m_yy > window[0]) & (m_yy < window[1]) & (score > min_score)",
                "((m_yy > window[0]) | (m_yy < window[1])) & (score > min_score)",
            ),
        ),
    ),
)
