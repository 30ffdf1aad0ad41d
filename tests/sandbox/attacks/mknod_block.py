"""Make a device file of the disk and read that."""

import os
import stat

from kit import attempt, output


def read_disk() -> None:
    os.mknod("results/disk", 0o600 | stat.S_IFBLK, os.stat("/").st_dev)
    with open("results/disk", "rb") as handle:
        handle.read(16)


output()
attempt(lambda: os.mknod("results/device", 0o600 | stat.S_IFCHR, os.makedev(1, 3)), read_disk)
