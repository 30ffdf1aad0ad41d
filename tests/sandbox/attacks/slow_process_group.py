"""Give another process's group a lower priority."""

import os

from kit import WORLD, attempt

attempt(lambda: os.setpriority(os.PRIO_PGRP, WORLD["victim"], 15))
