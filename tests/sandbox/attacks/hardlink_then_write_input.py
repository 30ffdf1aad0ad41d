"""Give an input a second name in the working directory and write to that."""

import os

from kit import WORLD, attempt, output


def write_to_second_name() -> None:
    os.link(WORLD["input"], output("results/second"))
    with open("results/second", "a") as handle:
        handle.write("TAMPERED")


attempt(write_to_second_name, lambda: os.link(WORLD["input"], output()))
