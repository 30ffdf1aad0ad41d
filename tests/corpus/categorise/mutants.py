from __future__ import annotations

from tests.corpus.problems import Mutant

ROWS = '{"category": i, "low": edges[i], "high": edges[i + 1], **sums(category == i)}'

MUTANTS = (
    Mutant(
        name="overlapping",
        kind="categories overlap",
        source="brief; JFC's list: yields conserved",
        changes=((ROWS, '{"category": i, "low": edges[i], "high": edges[i + 1], **sums(score >= edges[i])}'),),
    ),
    Mutant(
        name="open_at_both_ends",
        kind="categories leak",
        source="brief: events on a boundary are lost",
        changes=(
            (
                ROWS,
                '{"category": i, "low": edges[i], "high": edges[i + 1], **sums((score > edges[i]) & (score < edges[i + 1]))}',
            ),
        ),
    ),
    Mutant(
        name="first_category_lost",
        kind="categories leak",
        source="experience: a loop that starts at 1",
        changes=(("for i in range(len(edges) - 1)", "for i in range(1, len(edges) - 1)"),),
    ),
    Mutant(
        name="shifted",
        kind="off by one",
        source="experience: digitize counts from 1 with all edges, from 0 with inner ones",
        changes=(
            (
                "category = np.digitize(score, boundaries).astype(np.int32)",
                "category = np.clip(np.digitize(score, boundaries) - 1, 0, None).astype(np.int32)",
            ),
        ),
    ),
    Mutant(
        name="unweighted",
        kind="weights ignored",
        source="LLM4HEP",
        changes=(
            (
                '        "yield": float(kept.sum()),\n        "error": float(np.sqrt((kept**2).sum())),\n',
                '        "yield": float(len(kept)),\n        "error": float(np.sqrt(len(kept))),\n',
            ),
        ),
    ),
    Mutant(
        name="sqrt_yield",
        kind="errors sqrt(N) for sqrt(sum w2)",
        source="JFC's list",
        changes=(('"error": float(np.sqrt((kept**2).sum())),', '"error": float(np.sqrt(max(kept.sum(), 0.0))),'),),
    ),
    Mutant(
        name="sorted_categories",
        kind="arrays not aligned",
        source="experience: sorted scores, unsorted weights",
        changes=(
            (
                "category = np.digitize(score, boundaries).astype(np.int32)",
                "category = np.digitize(np.sort(score)[::-1], boundaries).astype(np.int32)",
            ),
        ),
    ),
    Mutant(
        name="other_boundaries",
        kind="parameter ignored",
        source="experience: rounder numbers in the place of the parameter",
        changes=(
            ("boundaries = [float(value) for value in snakemake.params.boundaries]", "boundaries = [0.25, 0.5, 0.75]"),
        ),
    ),
    Mutant(
        name="by_number_of_jets",
        kind="wrong column",
        source="experience",
        changes=(
            (
                'score = table["score"].to_numpy()\n',
                'score = table["n_jets"].to_numpy() / table["n_jets"].to_numpy().max()\n',
            ),
        ),
    ),
    Mutant(
        name="positive_only",
        kind="negative weights dropped",
        source="experience with NLO samples",
        changes=(
            (
                "table = pq.read_table(snakemake.input.scored)\n",
                'table = pq.read_table(snakemake.input.scored, filters=[("weight", ">", 0)])\n',
            ),
        ),
    ),
    Mutant(
        name="duplicated",
        kind="duplicated events",
        source="data.md section 6.4",
        changes=(
            (
                "table = pq.read_table(snakemake.input.scored)\n",
                "table = pa.concat_tables([pq.read_table(snakemake.input.scored), pq.read_table(snakemake.input.scored)])\n",
            ),
        ),
    ),
)
