"""Open devices whose drivers do much for whoever asks: FUSE, KVM, tunnels, the kernel's log."""

import os

from kit import blocked, escaped

DEVICES = ("autofs", "btrfs-control", "dri/card0", "fuse", "kmsg", "kvm", "loop-control", "mem", "net/tun", "nvidia0",
           "nvidiactl", "snd/seq", "uinput", "userfaultfd", "vga_arbiter", "vsock")  # fmt: skip
opened = []
for name in DEVICES:
    try:
        os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
        opened.append(name)
    except OSError:
        continue
if opened:
    escaped(opened)
blocked(f"none of {len(DEVICES)}")
