"""The operation that cuts off all but the first entries of large inputs, in a confined process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, CannotWrite
from snakemake_executor_plugin_llmagent.data.load import load, rewrite
from snakemake_executor_plugin_llmagent.probes.tables import FEW, is_events

WRITTEN = Path("written")


def first(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write the first entries of inputs into `written`, if one of them is large.

    Inputs whose rows may belong together row by row are cut together: if one is large, all that have more entries are.

    Args:
        asked: `files` (`{"path", "place"}` each), `entries` (how many are kept), and what is large: more than `above`
            entries, or more than `size` bytes.

    Returns:
        `files` (path → name of the copy), `entries` (path → how many there were), `left` (path → why it stays whole).
    """
    kept, left = int(asked["entries"]), dict[str, str]()
    entries: dict[str, int] = {}
    places = {one["path"]: Path(one["place"]) for one in asked["files"]}
    for path, place in places.items():
        try:
            sheets = load(place, limit=1).sheets
        except (CannotRead, OSError) as error:
            left[path] = str(error)
            continue
        entries[path] = max((sheet.entries for sheet in sheets if is_events(sheet, FEW)), default=0)
    large = any(
        count > max(asked["above"], kept) or (count > kept and places[path].stat().st_size > asked["size"])
        for path, count in entries.items()
    )
    files = {}
    for number, (path, count) in enumerate(entries.items()):
        if not large or count <= kept:
            continue
        target = WRITTEN / f"{number}-{places[path].name}"
        try:
            rewrite(places[path], target, lambda _: None, limit=kept)
        except (CannotRead, CannotWrite, OSError) as error:
            left[path] = str(error)
            continue
        files[path] = target.name
    return {"files": files, "entries": {path: entries[path] for path in files}, "left": left}
