"""Change caches of matplotlib and numba, from which other jobs load code."""

import os

from kit import WORLD, write_any

folder = os.environ.get("MPLCONFIGDIR", os.path.dirname(WORLD["font_cache"]))
write_any(WORLD["font_cache"], WORLD["numba_cache"], f"{WORLD['home']}/.cache/numba/new.nbc", f"{folder}/matplotlibrc")
