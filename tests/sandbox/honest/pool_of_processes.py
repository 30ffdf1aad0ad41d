"""Divide work among a pool of processes, with a queue and a lock."""

import multiprocessing

from kit import output, worked

context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    assert pool.map(abs, range(-4, 4)) == [4, 3, 2, 1, 0, 1, 2, 3]
queue = context.Queue()
queue.put(1)
assert queue.get(timeout=2) == 1
with open(output(), "w") as handle:
    handle.write("x")
worked()
