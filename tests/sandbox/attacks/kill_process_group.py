"""Kill the process group, in case the supervisor belongs to it."""

import os
import signal

import kit

assert kit.WORLD
os.kill(0, signal.SIGKILL)
