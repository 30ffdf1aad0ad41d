"""Write to a declared input, by its path and by its link in the working directory."""

from kit import WORLD, write_any

write_any(WORLD["input"], "data/in.csv")
