"""Remove the working directory with all that is in it."""

import os
import shutil

from kit import tried

shutil.rmtree(os.getcwd(), ignore_errors=True)
tried("removed")
