"""Open a declared input for reading, then the same open file for writing by /proc/self/fd."""

import os

from kit import WORLD, write_any

descriptor = os.open("data/in.csv", os.O_RDONLY)
handle = os.open(WORLD["input"], os.O_PATH)
write_any(f"/proc/self/fd/{descriptor}", f"/dev/fd/{descriptor}", f"/proc/self/fd/{handle}")
