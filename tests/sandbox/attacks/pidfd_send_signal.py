"""Kill another process by a descriptor of it."""

import os
import signal

from kit import WORLD, attempt

attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(WORLD["victim"]), signal.SIGKILL))
