"""Read passwords and tokens that conda keeps for channels and environments."""

import os

from kit import WORLD, blocked, escaped, is_secret, read_any

if is_secret(os.environ.get("CONDA_TOKEN", "")):
    escaped("CONDA_TOKEN")
if not os.path.lexists(WORLD["conda"]):
    blocked("there is no file")
read_any(WORLD["conda"], WORLD["conda_token"], WORLD["conda_environment"])
