from __future__ import annotations

from tests.corpus.problems import Mutant

ERROR = "    error = np.sqrt(inside * (1.0 - inside) / effective)\n"

MUTANTS = (
    Mutant(
        name="same_charge",
        kind="wrong sign of the charge",
        source="brief",
        changes=(
            (
                '.astype(int) * pairs["probe_charge"].astype(int) < 0',
                '.astype(int) * pairs["probe_charge"].astype(int) > 0',
            ),
        ),
    ),
    Mutant(
        name="unweighted",
        kind="weights ignored",
        source="LLM4HEP",
        changes=(('    weight = pairs["weight"][selected]\n', "    weight = np.ones(int(selected.sum()))\n"),),
    ),
    Mutant(
        name="inverted",
        kind="data and simulation exchanged",
        source="brief",
        changes=(("scale_factor = data / mc\n", "scale_factor = mc / data\n"),),
    ),
    Mutant(
        name="edges_in_mev",
        kind="MeV for GeV",
        source="data.md section 2",
        changes=(
            (
                '    pt = pairs["probe_pt"].astype(float)[selected] * MEV\n',
                '    pt = np.clip(pairs["probe_pt"].astype(float)[selected], edges[0], edges[-1])\n',
            ),
            (
                '    if (total <= 0).any():\n        raise ValueError(f"{path}: there are bins without probes")\n',
                "    total, total_w2 = np.where(total == 0, 1.0, total), np.where(total == 0, 1.0, total_w2)\n",
            ),
            (
                "scale_factor = data / mc\nscale_factor_error = scale_factor * np.hypot(data_error / data, mc_error / mc)\n",
                "scale_factor = np.divide(data, mc, out=np.ones_like(data), where=mc > 0)\nscale_factor_error = np.hypot(data_error, mc_error)\n",
            ),
        ),
    ),
    Mutant(
        name="passed_over_failed",
        kind="wrong denominator",
        source="experience: pass over fail",
        changes=(("    efficiency = passed / total\n", "    efficiency = passed / (total - passed)\n"),),
    ),
    Mutant(
        name="sqrt_n",
        kind="errors sqrt(N) for binomial ones",
        source="JFC's list: sqrt(N) errors on ratios",
        changes=((ERROR, "    error = efficiency * np.sqrt(1.0 / passed + 1.0 / total)\n"),),
    ),
    Mutant(
        name="averaged_error",
        kind="error too small",
        source="brief",
        changes=((ERROR, "    error = np.sqrt(inside * (1.0 - inside) / effective / len(pt))\n"),),
    ),
    Mutant(
        name="next_bin",
        kind="off by one",
        source="brief: off-by-one pair",
        changes=(
            (
                "mc, mc_error = efficiencies(snakemake.input.simulation)\n",
                "mc, mc_error = (np.roll(values, -1) for values in efficiencies(snakemake.input.simulation))\n",
            ),
        ),
        escapes="a second script (crosscheck), or an own check; contents: one bin's efficiencies in data and simulation come from different events",
    ),
    Mutant(
        name="window_with_or",
        kind="cut that never cuts",
        source="data.md section 6.1",
        changes=(
            (
                "opposite & (m_ee > MASS_WINDOW[0]) & (m_ee < MASS_WINDOW[1])",
                "opposite & ((m_ee > MASS_WINDOW[0]) | (m_ee < MASS_WINDOW[1]))",
            ),
        ),
    ),
    Mutant(
        name="data_twice",
        kind="wrong input",
        source="experience: copy and paste",
        changes=(
            (
                "mc, mc_error = efficiencies(snakemake.input.simulation)\n",
                "mc, mc_error = efficiencies(snakemake.input.simulation)\nmc, mc_error = efficiencies(snakemake.input.data)\n",
            ),
        ),
    ),
)
