"""Make the folder of the output a link to a folder of secrets."""

import os
import shutil

from kit import WORLD, attempt


def write_through_folder() -> None:
    with open("results/out.txt", "w") as handle:
        handle.write("TAMPERED")


shutil.rmtree("results", ignore_errors=True)
attempt(lambda: os.symlink(f"{WORLD['home']}/.ssh", "results"), write_through_folder)
