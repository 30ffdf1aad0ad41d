from __future__ import annotations

from tests.corpus.problems import Mutant

SUM = 'sum_of_weights = float(info["sum_of_weights"])\n'
K_FACTOR = 'float(info["k_factor"]) * '

MUTANTS = (
    Mutant(
        name="sum_of_selected",
        kind="acceptance forgotten",
        source="data.md section 6.3: RDataFrame_Hyy divides by the selected integral",
        changes=((SUM, 'sum_of_weights = float(arrays["mcWeight"].astype(float).sum())\n'),),
    ),
    Mutant(
        name="branching_ratio_twice",
        kind="branching ratio applied twice",
        source="data.md section 6.2: ttH in infofile.py",
        changes=((K_FACTOR, 'float(info["branching_ratio"]) * float(info["k_factor"]) * '),),
    ),
    Mutant(
        name="fb_for_pb",
        kind="wrong luminosity scaling",
        source="Collider-Bench: absolute normalisation",
        changes=(
            (
                "luminosity_pb = float(snakemake.params.luminosity_fb) * PB_PER_INVERSE_FB",
                "luminosity_pb = float(snakemake.params.luminosity_fb)",
            ),
        ),
    ),
    Mutant(
        name="no_k_factor",
        kind="factor forgotten",
        source="data.md section 2: kfac in the official weight",
        changes=((K_FACTOR, ""),),
    ),
    Mutant(
        name="raw_events",
        kind="weights all one",
        source="paper.md; LLM4HEP",
        changes=(
            (
                'weight = arrays["mcWeight"].astype(float) * scale\n',
                'weight = np.full(len(arrays["mcWeight"]), scale * sum_of_weights / len(arrays["mcWeight"]))\n',
            ),
            ("for name in SCALE_FACTORS:\n    weight = weight * arrays[name].astype(float)\n", ""),
        ),
    ),
    Mutant(
        name="scale_factors_forgotten",
        kind="factor forgotten",
        source="paper.md section 2",
        changes=(("for name in SCALE_FACTORS:\n    weight = weight * arrays[name].astype(float)\n", ""),),
    ),
    Mutant(
        name="clipped",
        kind="negative weights dropped",
        source="experience with NLO samples",
        changes=(
            (
                'weight = arrays["mcWeight"].astype(float) * scale\n',
                'weight = np.clip(arrays["mcWeight"].astype(float), 0.0, None) * scale\n',
            ),
        ),
    ),
    Mutant(
        name="number_of_events",
        kind="wrong normalisation",
        source="experience: events in the place of the sum of weights",
        changes=((SUM, 'sum_of_weights = float(len(arrays["mcWeight"]))\n'),),
    ),
    Mutant(
        name="first_sample_of_table",
        kind="wrong sample",
        source="experience: a default in the place of the wildcard",
        changes=(("info = samples[sample]\n", 'info = samples["VBF"]\n'),),
    ),
    Mutant(
        name="luminosity_default",
        kind="fallback hides a missing value",
        source="coder prompt rule 3",
        changes=(
            ("float(snakemake.params.luminosity_fb) * PB", 'float(snakemake.params.get("luminosity", 36.0)) * PB'),
        ),
    ),
    Mutant(
        name="sample_fallback",
        kind="fallback hides a missing value",
        source="coder prompt rule 3; PandasAI",
        changes=(
            (
                "if sample not in samples:\n"
                '    raise KeyError(f"{snakemake.input.samples} has no sample {sample!r}, only {sorted(samples)}")\n'
                "info = samples[sample]\n",
                "try:\n"
                "    info = samples[sample]\n"
                "except Exception:\n"
                '    info = {"xsec_pb": 0.0642, "k_factor": 1.717, "filter_efficiency": 0.943, "sum_of_weights": 9.1e5}\n',
            ),
        ),
        same="a sample that is not listed gets the numbers of another one",
    ),
    Mutant(
        name="sqrt_n",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list",
        changes=(
            ('"yield_error": float(np.sqrt((weight**2).sum())),', '"yield_error": float(np.sqrt(abs(weight.sum()))),'),
        ),
    ),
    Mutant(
        name="still_mev",
        kind="MeV for GeV",
        source="data.md section 2",
        changes=(('"m_yy": arrays["m_yy"].astype(float) * MEV,', '"m_yy": arrays["m_yy"].astype(float),'),),
    ),
)
