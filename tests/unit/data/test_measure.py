"""Numbers by name, of all formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from snakemake_executor_plugin_llmagent.data.leaves import MOST_LEAVES, leaves
from snakemake_executor_plugin_llmagent.data.measure import measure


def numbers(path: Path, **asked: bool) -> dict[str, float]:
    (answer,) = measure({"files": [str(path)], **asked}).values()
    assert answer["problem"] == ""
    found: dict[str, float] = answer["numbers"]
    return found


def test_documents_by_place(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({"mu": {"value": 1.5}, "bins": [1, 2], "ok": True, "nan": float("nan"), "seconds": 3.2}))
    assert numbers(path) == {"mu.value": 1.5, "bins[0]": 1.0, "bins[1]": 2.0, "ok": 1.0}


def test_long_tables_in_documents_by_column(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"events": [{"m": float(i)} for i in range(1001)], "n": 1001}))
    found = numbers(path)
    assert found["events/m:mean"] == 500.0 and found["events:entries"] == 1001 and found["n"] == 1001
    assert "events[0].m" not in found


def test_columns_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0, None, 3.0], "l": [[1, 2], [], [3]], "s": ["a", "b", "c"]}), path)
    found = numbers(path)
    assert (found[":entries"], found["x:n"], found["x:sum"], found["x:mean"]) == (3, 2, 4, 2)
    assert (found["x:std"], found["x:min"], found["x:max"], found["l:n"], found["l:sum"]) == (1, 1, 3, 3, 6)
    assert not any(name.startswith("s:") for name in found)


def test_histograms(tmp_path: Path) -> None:
    path = tmp_path / "h.root"
    with uproot.recreate(path) as file:
        file["h"] = (np.array([1.0, 4.0]), np.array([0.0, 1.0, 2.0]))
        file.mktree("empty", {"x": "float64"})
    found = numbers(path)
    assert (found["h:sum"], found["h[0]"], found["h[1]"]) == (5, 1, 4)
    assert (found["empty:entries"], found["empty/x:n"]) == (0, 0) and "empty/x:sum" not in found


def test_texts_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text("# Result 2\n\nmu = 1.2e-1 +- .5, v1.2, x86\n")
    assert numbers(path, texts=True) == {"text[0]": 2.0, "text[1]": 0.12, "text[2]": 0.5}
    assert "no format" in measure({"files": [str(path)]})[str(path)]["problem"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    answer = measure({"files": [str(tmp_path / "bad.json"), str(tmp_path / "none.json")]})
    assert all(found["numbers"] == {} and found["problem"] for found in answer.values())


def test_leaves_are_limited() -> None:
    assert len(list(leaves({"a": list(range(2 * MOST_LEAVES))}))) == MOST_LEAVES
    assert dict(leaves({"big": 10**400, "path": 3})) == {"big": float("inf")}
    assert dict(leaves({"a": {"b": 1}, "c": 2}, leave_out=frozenset({"a"}))) == {"c": 2.0}
