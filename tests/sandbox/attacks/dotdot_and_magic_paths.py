"""Reach a secret by roundabout paths."""

from kit import WORLD, read_any

secret = WORLD["ssh"]
read_any(
    "../../../../../../../../../../.." + secret,
    f"/proc/self/root{secret}",
    f"/proc/thread-self/root{secret}",
    f"/proc/1/root{secret}",
    f"data/../../../../../../..{secret}",
    f"/proc/self/task/../root/..{secret}",
    f"/dev/fd/../root{secret}",
)
