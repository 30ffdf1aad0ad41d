from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from datetime import datetime
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent import session as sessions
from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.session import EVENT_VERSION, Session, utc_now


def events(session: Session) -> list[dict[str, object]]:
    text = (session.directory / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_events_are_lines_with_version_and_time(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    session.event("begin", rule="fit")
    session.event("attempt", number=1, folder=tmp_path)
    first, second = events(session)
    assert (first["version"], first["event"], first["rule"]) == (EVENT_VERSION, "begin", "fit")
    assert datetime.fromisoformat(str(first["time"])).utcoffset() is not None
    assert second["folder"] == str(tmp_path)


@settings(max_examples=40)
@given(st.text(st.characters(), max_size=40))
@example("\udc80 \ud83d")
def test_any_text_can_be_told_and_read_back(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder, "s"))
        session.event("call", text=text)
        (event,) = events(session)
        assert event["text"] == text
        session.keep("log.txt", text)
        assert len(session.digest) == 64


def test_two_sessions_in_one_second_have_two_folders(tmp_path: Path) -> None:
    started = [Session.start(tmp_path, "fit") for _ in range(5)]
    assert len({session.directory for session in started}) == 5
    assert all(session.directory.parent == tmp_path / "fit" for session in started)


def test_sessions_of_many_threads_have_folders_of_their_own(tmp_path: Path) -> None:
    started: list[Path] = []
    threads = [
        threading.Thread(target=lambda: started.append(Session.start(tmp_path, "fit").directory)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(started)) == 8


def test_events_of_many_threads_stay_whole(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")

    def tell(number: int) -> None:
        for _ in range(5):
            session.event("e", n=number, pad="x" * 3000)

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(event["n"]) for event in events(session)) == sorted("0123" * 5)


def test_no_secret_reaches_the_disk(tmp_path: Path) -> None:
    secret = 'sk-"canary"\\0123'
    session = Session.start(tmp_path, "fit", Keys(values={"OPENAI_API_KEY": secret}).redact)
    session.event("call", text=f"key {secret}", nested={"also": [secret]})
    session.keep("calls/coder-1.md", f"key {secret}")
    whole = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "canary" not in whole
    assert whole.count("[redacted]") == 3


def test_kept_texts_lie_where_the_event_says(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    name = session.keep("attempt-1/script.py", "print('µ')\n")
    assert (session.directory / name).read_text(encoding="utf-8") == "print('µ')\n"


def test_the_digest_is_that_of_the_events_so_far(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    empty = session.digest
    assert empty == hashlib.sha256(b"").hexdigest()
    session.event("begin")
    assert session.digest == hashlib.sha256((session.directory / "events.jsonl").read_bytes()).hexdigest() != empty


def test_what_happened_is_there_when_the_process_dies(tmp_path: Path) -> None:
    """An event is on disk before the next thing happens."""
    session = Session(tmp_path / "s")
    session.event("begin")
    other = (session.directory / "events.jsonl").read_text()
    assert other.endswith("\n") and json.loads(other)["event"] == "begin"


def test_the_time_is_utc_to_the_second() -> None:
    assert len(utc_now()) == len("2026-01-02T03:04:05+00:00") and utc_now().endswith("+00:00")
    assert sessions.utc_now is utc_now
