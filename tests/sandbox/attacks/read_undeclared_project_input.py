"""Read a data file of the project that is not an input of the rule."""

from kit import WORLD, read_any

read_any(WORLD["undeclared"], "data/undeclared.csv")
