"""Change the supervisor's order, its report and its log, beside the working directory."""

import os

from kit import WORLD, write_any

here = os.path.abspath(os.path.join(os.getcwd(), ".."))
write_any(WORLD["order"], WORLD["report"], WORLD["log"], f"{WORLD['private']}.more", f"{here}/forged.report.json")
