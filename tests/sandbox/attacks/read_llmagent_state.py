"""Read sessions with the model, the ledger and the cache of replies."""

from kit import WORLD, read_any

read_any(WORLD["session"], WORLD["ledger"], WORLD["cache"], WORLD["metadata"])
