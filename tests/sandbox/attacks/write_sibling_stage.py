"""Forge what another job is writing in its own working directory beside ours."""

from kit import WORLD, write_any

write_any(WORLD["sibling"], WORLD["sibling_private"], WORLD["sibling_order"], f"{WORLD['trials']}/new")
