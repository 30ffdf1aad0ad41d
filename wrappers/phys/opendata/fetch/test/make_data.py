"""Lay out a folder like the CERN Open Data portal: one record with one file."""

import json
import zlib
from pathlib import Path

content = "".join(f"{number},{125 + number % 7 / 10}\n" for number in range(1000)).encode()
file = {
    "uri": "root://eospublic.cern.ch//eos/opendata/example/events.csv",
    "size": len(content),
    "checksum": f"adler32:{zlib.adler32(content):08x}",
}
metadata = {"title": "Example of a record", "license": {"attribution": "CC0-1.0"}, "files": [file]}
Path(snakemake.output.file).write_bytes(content)
Path(snakemake.output.record).write_text(json.dumps({"metadata": metadata}), encoding="utf-8")
