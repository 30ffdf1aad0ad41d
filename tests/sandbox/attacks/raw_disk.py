"""Read files past the file system, from the disk's device."""

import os

from kit import blocked, escaped

reason: object = "there is no disk"
with open("/proc/self/mounts") as handle:
    devices = {line.split()[0] for line in handle if line.startswith("/dev/")}
for device in (*devices, "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/mem"):
    try:
        descriptor = os.open(device, os.O_RDONLY)
    except OSError as error:
        reason = error
        continue
    if os.pread(descriptor, 16, 0):
        escaped(device)
blocked(reason)
