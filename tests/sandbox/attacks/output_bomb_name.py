"""Make outputs that nobody asked for, with names that mean something to other programs."""

from kit import output, tried

output()
for name in (
    "results/other.csv.bak",
    "results/-rf",
    "results/.out.txt.llmagent",
    "results/.snakemake_timestamp",
    "Snakefile",
):
    with open(name, "w") as handle:
        handle.write("TAMPERED")
tried("made")
