"""Overwrite the output of another rule."""

from kit import WORLD, write_any

write_any(WORLD["other_output"], "results/other.csv")
