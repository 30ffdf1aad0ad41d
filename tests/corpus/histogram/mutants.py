from __future__ import annotations

from tests.corpus.problems import Mutant

FILL = "    histogram.fill(m_yy, weight=weight)\n"

MUTANTS = (
    Mutant(
        name="unweighted",
        kind="weights ignored",
        source="LLM4HEP; data.md section 6",
        changes=((FILL, "    histogram.fill(m_yy)\n"),),
    ),
    Mutant(
        name="counts_as_variance",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list: sqrt(N) error bars on weighted bins",
        changes=(
            (
                "inside = histogram.sum()\n",
                "# Poisson errors\n"
                "histogram.view(flow=True).variance = np.abs(histogram.view(flow=True).value)\n"
                "inside = histogram.sum()\n",
            ),
        ),
    ),
    Mutant(
        name="no_flow",
        kind="overflow dropped",
        source="experience",
        changes=(("underflow=True, overflow=True", "underflow=False, overflow=False"),),
    ),
    Mutant(
        name="last_edge_missing",
        kind="wrong bin edges",
        source="experience: linspace with the number of bins in the place of edges",
        changes=(
            (
                '    hist.axis.Regular(N_BINS, LOW, HIGH, name="m_yy", label="m_yy [GeV]", underflow=True, overflow=True),\n',
                '    hist.axis.Variable(np.linspace(LOW, HIGH, N_BINS), name="m_yy", label="m_yy [GeV]", underflow=True, overflow=True),\n',
            ),
        ),
    ),
    Mutant(
        name="first_sample",
        kind="first file only",
        source="experience: return or break in the loop",
        changes=((FILL, FILL + "    if histogram.sum().value > 0:\n        break\n"),),
    ),
    Mutant(
        name="absolute_weights",
        kind="negative weights made positive",
        source="experience with NLO samples",
        changes=((FILL, "    histogram.fill(m_yy, weight=np.abs(weight))\n"),),
    ),
    Mutant(
        name="overflow_into_last_bin",
        kind="overflow in the last bin",
        source="experience: clip before filling",
        changes=((FILL, "    histogram.fill(np.clip(m_yy, LOW, np.nextafter(HIGH, LOW)), weight=weight)\n"),),
    ),
    Mutant(
        name="unit_area",
        kind="wrong normalisation",
        source="Collider-Bench: absolute normalisation, far more than shape",
        changes=(
            (
                "inside = histogram.sum()\n",
                "histogram = histogram / histogram.sum(flow=True).value  # compare shapes\ninside = histogram.sum()\n",
            ),
        ),
    ),
    Mutant(
        name="gev_taken_for_mev",
        kind="GeV for MeV",
        source="data.md section 2: MeV in 2020, GeV in 2025",
        changes=(('    m_yy = table["m_yy"].to_numpy()\n', '    m_yy = table["m_yy"].to_numpy() / 1000.0  # GeV\n'),),
    ),
    Mutant(
        name="varied_weights",
        kind="wrong column",
        source="experience: the weight of a variation in the place of the nominal one",
        changes=(
            ('COLUMNS = ["m_yy", "weight"]', 'COLUMNS = ["m_yy", "weight_pileup_up"]'),
            ('    weight = table["weight"].to_numpy()\n', '    weight = table["weight_pileup_up"].to_numpy()\n'),
        ),
    ),
    Mutant(
        name="sorted_masses",
        kind="arrays not aligned",
        source="experience: one of two arrays sorted",
        changes=((FILL, "    histogram.fill(np.sort(m_yy), weight=weight)\n"),),
    ),
)
