"""A pyhf workspace with a signal on a background in four bins, and a counting experiment."""

import json
from pathlib import Path

background = [60.0, 45.0, 32.0, 24.0]
rate = {"name": "background_norm", "type": "normsys", "data": {"hi": 1.05, "lo": 0.95}}
templates = {"hi_data": [58.0, 45.0, 33.0, 26.0], "lo_data": [62.0, 45.0, 31.0, 22.0]}
slope = {"name": "slope", "type": "histosys", "data": templates}
samples = [
    {"name": "signal", "data": [2.0, 9.0, 9.0, 2.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
    {"name": "background", "data": background, "modifiers": [rate, slope]},
]
workspace = {
    "channels": [{"name": "SR", "samples": samples}],
    "observations": [{"name": "SR", "data": [61, 58, 37, 25]}],
    "measurements": [{"name": "search", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}
counts = {"observed": 12, "background": 5.2, "background_error": 0.8, "signal": 4.1}
for path, document in zip(snakemake.output, (workspace, counts), strict=True):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(document), encoding="utf-8")
