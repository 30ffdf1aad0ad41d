"""Stop another process."""

import os
import signal

from kit import WORLD, attempt, syscall

attempt(
    lambda: os.kill(WORLD["victim"], signal.SIGSTOP),
    lambda: syscall("tgkill", WORLD["victim"], WORLD["victim"], int(signal.SIGSTOP)),
)
