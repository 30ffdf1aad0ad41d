"""Leave processes behind that are reborn faster than anybody can kill them."""

import os
import time

from kit import output, tried

output()
end = time.monotonic() + 3
if os.fork():
    time.sleep(0.2)
    tried("chains are running")
os.setsid()
for _ in range(3):
    if os.fork() == 0:
        break
os.closerange(0, 4096)
while time.monotonic() < end:
    time.sleep(0.02)
    if os.fork():
        os._exit(0)
