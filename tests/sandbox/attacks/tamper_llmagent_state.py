"""Forge sessions with the model, the ledger and the cache of replies."""

from kit import WORLD, write_any

write_any(WORLD["session"], WORLD["ledger"], WORLD["cache"], WORLD["metadata"])
