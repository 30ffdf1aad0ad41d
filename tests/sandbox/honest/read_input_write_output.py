"""Read an input, write an output file and an output directory."""

from pathlib import Path

from kit import WORLD, output, worked

lines = Path("data/in.csv").read_text().splitlines()
assert Path(WORLD["input"]).read_text().splitlines() == lines
Path(output()).write_text(f"{len(lines)}\n")
Path("results/tree/deep").mkdir(parents=True)
Path("results/tree/deep/part.csv").write_text("1\n")
worked(lines)
