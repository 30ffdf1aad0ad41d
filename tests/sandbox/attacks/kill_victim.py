"""Kill another process."""

import os
import signal

from kit import WORLD, attempt

attempt(lambda: os.kill(WORLD["victim"], signal.SIGKILL), lambda: os.killpg(WORLD["victim"], signal.SIGKILL))
