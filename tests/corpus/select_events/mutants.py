from __future__ import annotations

from tests.corpus.problems import Mutant

MUTANTS = (
    Mutant(
        name="pt_cut_in_mev",
        kind="MeV for GeV",
        source="data.md section 2: photon pt in MeV",
        changes=(
            ("        (pt[:, 0] > min_pt_lead)\n", "        (pt[:, 0] / MEV > min_pt_lead)\n"),
            ("        & (pt[:, 1] > min_pt_sub)\n", "        & (pt[:, 1] / MEV > min_pt_sub)\n"),
        ),
    ),
    Mutant(
        name="crack_with_or",
        kind="cut that never cuts",
        source="data.md section 6.1: crack veto of HyyAnalysis.ipynb",
        changes=(("(abs_eta < CRACK[0]) | (abs_eta > CRACK[1])", "(abs_eta < CRACK[1]) | (abs_eta > CRACK[0])"),),
    ),
    Mutant(
        name="first_file",
        kind="first file only",
        source="experience: input[0] of a list",
        changes=(("for path in snakemake.input.ntuples:\n", "for path in [snakemake.input.ntuples[0]]:\n"),),
    ),
    Mutant(
        name="weights_one",
        kind="weights all one",
        source="paper.md: all data weights; LLM4HEP",
        changes=(('        "weight": weight[passed],\n', '        "weight": np.ones(passed.sum()),\n'),),
    ),
    Mutant(
        name="negative_dropped",
        kind="negative weights dropped",
        source="experience with NLO samples",
        changes=(
            (
                "    passed = (\n        (pt[:, 0] > min_pt_lead)\n",
                "    passed = (\n        (weight > 0)\n        & (pt[:, 0] > min_pt_lead)\n",
            ),
        ),
    ),
    Mutant(
        name="event_number_float32",
        kind="event numbers in single precision",
        source="data.md section 2: eventNumber is uint64",
        changes=(
            (
                'ak.to_numpy(a["eventNumber"])[passed].astype(np.uint64)',
                'ak.to_numpy(a["eventNumber"])[passed].astype(np.float32).astype(np.uint64)',
            ),
        ),
    ),
    Mutant(
        name="files_read_twice",
        kind="duplicated events",
        source="data.md section 6.4: samples added as if independent",
        changes=(
            (
                "for path in snakemake.input.ntuples:\n",
                "for path in [*snakemake.input, *snakemake.input.ntuples[1:]]:\n",
            ),
        ),
    ),
    Mutant(
        name="eta_unsorted",
        kind="arrays not aligned",
        source="experience: one of the columns not sorted with the others",
        changes=(('a["photon_eta"][good][order][:, :2]', 'a["photon_eta"][good][:, :2]'),),
    ),
    Mutant(
        name="calo_isolation_forgotten",
        kind="cut forgotten",
        source="AgentRivet: one of several cuts left out",
        changes=(('        & (a["photon_etcone20"] / a["photon_pt"] < MAX_CALO_ISOLATION)\n', ""),),
    ),
    Mutant(
        name="first_chunk",
        kind="first chunk only",
        source="data.md section 6.6",
        changes=(
            (
                '        for arrays in tree.iterate(BRANCHES, step_size=STEP, library="ak"):\n',
                '        for arrays in tree.iterate(BRANCHES, step_size=2000, entry_stop=2000, library="ak"):\n',
            ),
        ),
    ),
    Mutant(
        name="scale_factor_fallback",
        kind="fallback hides a missing column",
        source="coder prompt rule 3; PandasAI",
        changes=(
            (
                "        missing = [name for name in BRANCHES if name not in tree]\n",
                '        missing = [name for name in BRANCHES if name not in tree and not name.startswith("scaleFactor")]\n',
            ),
            ("tree.iterate(BRANCHES, ", "tree.iterate([name for name in BRANCHES if name in tree], "),
            (
                '        * ak.to_numpy(a["scaleFactor_PHOTON"])\n        * ak.to_numpy(a["scaleFactor_PILEUP"])\n    )\n',
                "    )\n"
                '    for name in ("scaleFactor_PHOTON", "scaleFactor_PILEUP"):\n'
                "        try:\n"
                "            weight = weight * ak.to_numpy(a[name])\n"
                "        except Exception:\n"
                "            pass  # not available in this sample\n",
            ),
        ),
        same="without the scale factors it goes on as if they were 1",
    ),
    Mutant(
        name="sum_of_angles",
        kind="wrong formula",
        source="experience: sign in the mass of two massless particles",
        changes=(("- np.cos(phi[:, 0] - phi[:, 1]))", "+ np.cos(phi[:, 0] - phi[:, 1]))"),),
    ),
)
