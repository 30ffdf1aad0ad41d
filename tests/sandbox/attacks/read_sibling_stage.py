"""Read what another job is writing in its own working directory beside ours."""

from kit import WORLD, read_any

read_any(WORLD["sibling"], WORLD["sibling_private"], "../other_rule-33bb/results/partial.csv")
