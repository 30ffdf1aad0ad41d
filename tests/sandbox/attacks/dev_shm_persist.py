"""Leave a file behind in /dev/shm."""

from kit import WORLD, write_any

write_any(f"/dev/shm/{WORLD['shm_name']}", mode="w")
