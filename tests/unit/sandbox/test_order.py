"""Orders and reports: values on our side of two JSON files."""

from __future__ import annotations

import marshal
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox.limits import Limits, as_order
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Wish, read_report

TOLD: dict[str, Any] = {
    "backend": "landlock", "abi": 6, "ending": "exit", "returncode": 0, "limit": None, "refusal": "", "seconds": 1.5,
    "cpu_seconds": 0.5, "peak_memory": 5, "processes": 2, "access": {"a": [True, None]}, "leftovers": 0, "log_bytes": 1,
    "log_dropped": 0,
}  # fmt: skip


def told(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "report.json"
    path.write_bytes(marshal.dumps({**TOLD, **changes}, 2))
    return path


def test_an_order_is_plain_data(tmp_path: Path) -> None:
    place = Path("/ä b/$HOME \"x'")
    order = Order(
        backend="bwrap", bwrap="/usr/bin/bwrap", bwrap_lacks=("--size",), stage=place, home=place, tmp=place,
        script=place, log=place, report=place, environment=Wish(keep=("PATH",), known=("A",), set={"B": "ü"}),
        limits=as_order(Limits(seconds=5.0)), readable=(place,), watch=(("d", place),), leases=place,
    )  # fmt: skip
    order.write(tmp_path / "order.json")
    found = marshal.loads((tmp_path / "order.json").read_bytes())
    assert {found[name] for name in ("stage", "home", "tmp", "script", "log", "report", "leases")} == {str(place)}
    assert found["environment"] == {"keep": ["PATH"], "known": ["A"], "set": {"B": "ü"}}
    assert (found["readable"], found["watch"], found["bwrap_lacks"]) == ([str(place)], [["d", str(place)]], ["--size"])
    assert (found["limits"]["seconds"], found["limits"]["memory"], found["show"]) == (5.0, None, False)
    assert (found["max_abi"], found["threads"], found["roots"], found["guarded"]) == (None, None, [], [])


def test_a_report(tmp_path: Path) -> None:
    report = read_report(told(tmp_path, walls=True, more="than is known"), "")
    assert (report.backend, report.abi, report.ending, report.limit) == ("landlock", 6, "exit", None)
    assert report.access == {"a": (True, None)}
    assert read_report(told(tmp_path, limit={"name": "memory", "value": 7}), "").limit == ("memory", 7)


@pytest.mark.parametrize("text", [None, "", "{", "not json"])
def test_a_supervisor_that_wrote_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SandboxUnavailable, match=r"without a report: it was killed\."):
        read_report(path, "")
    with pytest.raises(SandboxUnavailable, match=r"without a report: no space left\."):
        read_report(path, "no space left")
