"""Make a file that pretends to hold a terabyte, which whoever copies it writes out."""

import os
import time

from kit import attempt, output


def pretend() -> None:
    with open(output(), "wb") as handle:
        os.truncate(handle.fileno(), 1 << 40)
    time.sleep(0.8)


attempt(pretend)
