"""Pretend that nothing was run: the exit status and the words of a launcher that refuses."""

import os
import sys

import kit

assert kit.WORLD
for stream in (sys.stdout, sys.stderr):
    print("llmagent: refusing to run: Landlock is not available", file=stream, flush=True)
    print("bwrap: Creating new namespace failed", file=stream, flush=True)
os._exit(125)
