"""Nest folders so deep that whoever removes them fails."""

import os

from kit import output, tried

output()
os.chdir("results")
try:
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
except OSError as error:
    tried(error)
tried("1500 levels")
