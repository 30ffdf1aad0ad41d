from __future__ import annotations

from tests.corpus.problems import Mutant

MUTANTS = (
    Mutant(
        name="event_number_float32",
        kind="event numbers in single precision",
        source="data.md section 2: eventNumber is uint64",
        changes=(
            (
                "    out = {name: ak.to_numpy(a[name]).astype(kind) for name, kind in PLAIN.items()}\n",
                "    out = {name: ak.to_numpy(a[name]).astype(np.float32).astype(kind) for name, kind in PLAIN.items()}\n",
            ),
        ),
    ),
    Mutant(
        name="zero_for_missing",
        kind="missing objects as 0",
        source="brief; sentence asks for NaN",
        changes=(
            ("ak.fill_none(padded, np.float32(np.nan), axis=1)", "ak.fill_none(padded, np.float32(0.0), axis=1)"),
        ),
    ),
    Mutant(
        name="not_sorted",
        kind="objects not sorted",
        source="experience: lists taken for sorted",
        changes=(
            (
                '            values = leading(a[f"{prefix}_{c}"][good][order], count)\n',
                '            values = leading(a[f"{prefix}_{c}"][good], count)\n',
            ),
        ),
    ),
    Mutant(
        name="each_column_sorted_alone",
        kind="arrays not aligned",
        source="experience: ak.sort of each column",
        changes=(
            (
                '            values = leading(a[f"{prefix}_{c}"][good][order], count)\n',
                '            values = leading(ak.sort(a[f"{prefix}_{c}"][good], axis=1, ascending=False), count)\n',
            ),
        ),
    ),
    Mutant(
        name="weights_one",
        kind="weights all one",
        source="paper.md; LLM4HEP",
        changes=(("    return out\n", '    out["weight"] = np.ones(len(a))\n    return out\n'),),
    ),
    Mutant(
        name="last_piece",
        kind="first chunk only",
        source="data.md section 6.6",
        changes=(
            (
                'result = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}\nif any(len(values) != n_entries for values in result.values()):\n    raise RuntimeError("not all events were read")\n',
                "result = pieces[-1]\n",
            ),
        ),
    ),
    Mutant(
        name="first_photon_twice",
        kind="off by one",
        source="experience: index 0 twice",
        changes=(
            (
                '                out[f"{short}{i + 1}_{c}"] = values[:, i]\n',
                '                out[f"{short}{i + 1}_{c}"] = values[:, max(i - 1, 0)]\n',
            ),
        ),
    ),
    Mutant(
        name="all_photons_counted",
        kind="cut forgotten",
        source="AgentRivet",
        changes=(
            (
                '        out[f"n_{prefix}s"] = ak.to_numpy(ak.sum(good, axis=1)).astype(np.int32)\n',
                '        out[f"n_{prefix}s"] = ak.to_numpy(ak.num(a[f"{prefix}_pt"], axis=1)).astype(np.int32)\n',
            ),
        ),
    ),
    Mutant(
        name="divided_by_thousand",
        kind="GeV for MeV",
        source="data.md section 2: MeV in 2020, GeV in 2025",
        changes=(
            (
                "            for i in range(count):\n",
                '            values = values / 1000.0 if c == "pt" else values  # MeV to GeV\n            for i in range(count):\n',
            ),
        ),
    ),
    Mutant(
        name="rolled",
        kind="arrays not aligned",
        source="brief: shuffled alignment",
        changes=(
            (
                "np.savez(snakemake.output.arrays, **result)\n",
                'result["weight"] = np.roll(result["weight"], 1)\nnp.savez(snakemake.output.arrays, **result)\n',
            ),
        ),
    ),
    Mutant(
        name="selected_only",
        kind="events dropped",
        source="experience: a selection nobody asked for",
        changes=(
            ("result = {name: np.concatenate", "result = {name: np.concatenate"),
            (
                "np.savez(snakemake.output.arrays, **result)\n",
                'enough = result["n_photons"] >= 2\nresult = {name: values[enough] for name, values in result.items()}\nnp.savez(snakemake.output.arrays, **result)\n',
            ),
        ),
    ),
    Mutant(
        name="jet_cut_in_mev",
        kind="MeV for GeV",
        source="data.md section 2",
        changes=(('a["jet_pt"] > MIN_JET_PT)', 'a["jet_pt"] * 1000 > MIN_JET_PT)'),),
    ),
)
