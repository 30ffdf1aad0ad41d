"""Leave a daemon behind."""

import time

from kit import vanish

vanish()
time.sleep(6)
