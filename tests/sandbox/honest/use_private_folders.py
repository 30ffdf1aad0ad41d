"""Use the home directory, temporary files and copies with their times."""

import shutil
import tempfile
from pathlib import Path

from kit import output, worked

(Path.home() / ".cache").mkdir()
(Path.home() / ".cache/fonts.json").write_text("{}")
with tempfile.NamedTemporaryFile() as first, tempfile.TemporaryDirectory() as folder:
    first.write(b"x")
    shutil.copy2("data/in.csv", folder)
    shutil.copytree(folder, f"{folder}.again")
shutil.copy2("data/in.csv", output())
Path("results/out.txt").chmod(0o600)
worked()
