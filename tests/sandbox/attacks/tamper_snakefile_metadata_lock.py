"""Change the Snakefile, Snakemake's records and locks, and the lock of approved scripts."""

from kit import WORLD, write_any

write_any(WORLD["snakefile"], WORLD["metadata"], WORLD["locks"], WORLD["lock"])
