"""Print what a terminal obeys: clear the screen, fill the clipboard, overwrite lines, turn the writing direction."""

import os

from kit import tried

os.write(1, b"\x1b[2J\x1b]52;c;Y2FuYXJ5\x07 text\r overwritten \xc2\x9b2J \xe2\x80\xae turned \x08\x08 \x00 \xff\xfe\n")
tried("printed")
