from __future__ import annotations

from tests.corpus.problems import Mutant

S = "s = float(w_signal[in_window(m_signal)].sum())"
P0 = "p0 = 0.5 * math.erfc(z_obs / math.sqrt(2.0))"

MUTANTS = (
    Mutant(
        name="s_over_sqrt_b",
        kind="wrong formula",
        source="brief: s/sqrt(b), with unweighted events",
        changes=(
            (
                "z_exp = math.sqrt(2.0 * ((s + b) * math.log1p(s / b) - s))",
                "z_exp = int(in_window(m_signal).sum()) / math.sqrt(b)",
            ),
        ),
    ),
    Mutant(
        name="unweighted_signal",
        kind="weights ignored",
        source="LLM4HEP",
        changes=((S, "s = float(in_window(m_signal).sum())"),),
    ),
    Mutant(
        name="lower_tail",
        kind="wrong tail",
        source="DESIGN 7; JFC",
        changes=((P0, "p0 = 0.5 * (1.0 + math.erf(z_obs / math.sqrt(2.0)))"),),
    ),
    Mutant(
        name="two_sided",
        kind="wrong tail",
        source="experience",
        changes=((P0, "p0 = math.erfc(z_obs / math.sqrt(2.0))"),),
    ),
    Mutant(
        name="sidebands_not_scaled",
        kind="wrong normalisation",
        source="Collider-Bench",
        changes=(("b = n_sidebands * (WINDOW[1] - WINDOW[0]) / width_sidebands", "b = n_sidebands / len(SIDEBANDS)"),),
    ),
    Mutant(
        name="asimov_as_observed",
        kind="result does not depend on the data",
        source="experience",
        changes=(("n = int(in_window(m_data).sum())\n", ""), (S + "\n", S + "\nn = round(s + b)\n")),
    ),
    Mutant(
        name="signal_in_sidebands",
        kind="wrong region",
        source="experience: sidebands that reach into the window",
        changes=(("SIDEBANDS = ((110.0, 120.0), (130.0, 140.0))", "SIDEBANDS = ((110.0, 125.0), (125.0, 140.0))"),),
    ),
    Mutant(
        name="background_from_memory",
        kind="hard-coded result",
        source="Collider-Bench",
        changes=(("b = n_sidebands * (WINDOW[1] - WINDOW[0]) / width_sidebands", "b = 1163.0"),),
    ),
    Mutant(
        name="all_signal",
        kind="acceptance forgotten",
        source="data.md section 6.3",
        changes=((S, "s = float(w_signal.sum())"),),
    ),
    Mutant(
        name="factor_two_forgotten",
        kind="wrong formula",
        source="experience: -ln L for -2 ln L",
        changes=(("max(2.0 * (n * math.log(n / b) - (n - b)), 0.0)", "max(n * math.log(n / b) - (n - b), 0.0)"),),
    ),
    Mutant(
        name="absolute_weights",
        kind="negative weights made positive",
        source="experience with NLO samples",
        changes=((S, "s = float(abs(w_signal[in_window(m_signal)]).sum())"),),
    ),
)
