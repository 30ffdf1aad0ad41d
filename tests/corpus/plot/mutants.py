from __future__ import annotations

from tests.corpus.problems import Mutant

WEIGHTED = "    values, _ = np.histogram(m_yy, bins=edges, weights=weight)\n    variances, _ = np.histogram(m_yy, bins=edges, weights=weight**2)\n"
SAVE = "fig.savefig(snakemake.output.plot, dpi=120)\n"

MUTANTS = (
    Mutant(
        name="blank",
        kind="blank plot",
        source="experience: a new figure is saved in the place of the drawn one",
        changes=((SAVE, "fig = plt.figure(figsize=(7, 6))\n" + SAVE),),
    ),
    Mutant(
        name="no_labels",
        kind="axis label missing",
        source="every plotting guide of an experiment",
        changes=(
            ('bottom.set_xlabel(r"$m_{\\gamma\\gamma}$ [GeV]")\n', ""),
            ('bottom.set_ylabel("Data / Sim.")\n', ""),
            ('top.set_ylabel(f"Events / {BIN_WIDTH:g} GeV")\n', ""),
        ),
    ),
    Mutant(
        name="unweighted",
        kind="weights ignored",
        source="LLM4HEP",
        changes=((WEIGHTED, "    values, _ = np.histogram(m_yy, bins=edges)\n    variances = values.astype(float)\n"),),
    ),
    Mutant(
        name="ratio_inverted",
        kind="data and simulation exchanged",
        source="brief",
        changes=(
            (
                "ratio, ratio_error = data / simulation, data_error / simulation",
                "ratio, ratio_error = simulation / data, data_error / data",
            ),
        ),
    ),
    Mutant(
        name="scaled_to_data",
        kind="wrong normalisation",
        source="JFC's list: tuning until the plot agrees",
        changes=(
            (
                "simulation = background + signal\n",
                "scale = data.sum() / (background + signal).sum()\nbackground, signal = scale * background, scale * signal\nsimulation = background + signal\n",
            ),
        ),
    ),
    Mutant(
        name="sqrt_of_sum",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list",
        changes=(
            (
                "simulation_error = np.sqrt(background_variance + signal_variance)",
                "simulation_error = np.sqrt(simulation)",
            ),
        ),
    ),
    Mutant(
        name="toy_data",
        kind="invented data",
        source="PandasAI 139",
        changes=(
            (
                "data, data_variance = histogram(snakemake.input.data)\n",
                "n_data = pq.read_table(snakemake.input.data).num_rows\n",
            ),
            (
                "data_error = np.sqrt(data_variance)\n",
                "data = np.random.default_rng(7).poisson(simulation).astype(float)\ndata_error = np.sqrt(data)\n",
            ),
        ),
    ),
    Mutant(
        name="first_thousand",
        kind="first chunk only",
        source="data.md section 6.6",
        changes=(
            (
                '    table = pq.read_table(path, columns=["m_yy", "weight"])\n',
                '    table = pq.read_table(path, columns=["m_yy", "weight"]).slice(0, 5000)\n',
            ),
        ),
    ),
    Mutant(
        name="shifted_edges",
        kind="wrong bin edges",
        source="experience: left edges taken for centres, and the last bin lost",
        changes=(("edges = np.linspace(*RANGE, n_bins + 1)\n", "edges = np.arange(RANGE[0], RANGE[1], BIN_WIDTH)\n"),),
    ),
    Mutant(
        name="legend_exchanged",
        kind="wrong label",
        source="experience",
        changes=(
            ('color="tab:red", label="Signal"', 'color="tab:red", label="Background"'),
            ('color="tab:blue", label="Background"', 'color="tab:blue", label="Signal"'),
        ),
    ),
)
