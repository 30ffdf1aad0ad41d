"""Give files of an output directory names that a terminal obeys and that split a listing."""

import contextlib
import os

from kit import tried

os.makedirs("results/tree")
for name in ("line\nbreak", "\x1b[2Jclear", "\x1b]0;title\x07", "back\x08space"):
    with contextlib.suppress(OSError), open(f"results/tree/{name}", "w") as handle:
        handle.write("x")
tried("made")
