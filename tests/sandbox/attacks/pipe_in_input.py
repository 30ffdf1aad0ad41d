"""Write into another program's pipe that lies in an input directory."""

import os

from kit import WORLD, blocked, escaped

try:
    os.close(os.open(f"{WORLD['live']}/pipe", os.O_RDWR | os.O_NONBLOCK))
except OSError as error:
    blocked(error)
escaped("it is open for writing")
