"""Read the Snakefile, the lock file and the scripts of other rules."""

from kit import WORLD, read_any

read_any(WORLD["snakefile"], WORLD["lock"], WORLD["agent"], "Snakefile", "agents.lock")
