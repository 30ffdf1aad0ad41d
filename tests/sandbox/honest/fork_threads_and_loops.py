"""Work with threads, with forked processes that talk by pipes, and with asyncio."""

import asyncio
import concurrent.futures
import multiprocessing
import socket

from kit import output, worked


async def both() -> list[str]:
    process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return [told.decode(), await asyncio.to_thread(str, 1)]


def child(end: object) -> None:
    end.send([1, 2])


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(abs, range(-4, 4))) == 16
ours, theirs = multiprocessing.get_context("fork").Pipe()
process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
process.start()
assert ours.recv() == [1, 2]
process.join()
assert asyncio.run(both()) == ["hello\n", "1"]
one, other = socket.socketpair()
one.send(b"x")
assert other.recv(1) == b"x"
with open(output(), "w") as handle:
    handle.write("x")
worked()
