from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ConfigError, RecordingMissing
from snakemake_executor_plugin_llmagent.llm import CallSettings, open_model
from snakemake_executor_plugin_llmagent.llm.exchange import Exchange, dump_exchange, parse_exchange
from snakemake_executor_plugin_llmagent.llm.recording import Recording, Replay
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Request, Stop, Usage
from tests.loopback import CANARY, say
from tests.unit.llm.support import Speaker, request, scripted

KEYS = Keys(values={"OPENAI_API_KEY": CANARY})

SAMPLE = """\
format: 1
role: coder
model: openai:speaker
max_tokens: 1000
messages:
- role: system
  content: You write scripts.
- role: user
  content: |-
    Fit m_yy:
    \tuse DSCB  \n\
\n\
    and exp
reply:
  model: speaker-1
  stop: end
  usage:
    input_tokens: 0
    output_tokens: 0
    cached_input_tokens: 0
    reasoning_tokens: 0
    cache_write_tokens: 0
  text: |
    ```python
    x = "é"
    ```
"""


def record(directory: Path, asked: Request, *replies: str, keys: Keys = KEYS) -> None:
    model = Recording(Speaker(*replies), directory, keys=keys)
    for _ in replies:
        model.complete(asked)


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_recording_is_made_for_reading(tmp_path: Path) -> None:
    record(tmp_path / "new" / "one", request("Fit m_yy:\n\tuse DSCB  \n\nand exp"), '```python\nx = "é"\n```\n')
    path = only_file(tmp_path / "new" / "one")
    assert path.name.startswith("coder-")
    assert path.read_text(encoding="utf-8") == SAMPLE


WEIRD = [
    "\ttab first\nx",
    "\n\ttab second",
    "\n\n  spaces first\n\n\n",
    "  \n \n",
    "crlf\r\nline\rend\r\n",
    "trailing  \n\t\n  \nx \t",
    "- a: b\n--- \n...\n# no comment\n%YAML 1.1\n&a *a !!str |-\n",
    "true",
    "null",
    "~",
    "1e3",
    "2025-01-01",
    "",
    " ",
    "\n",
    "=\n",
    "next\x85line\u2028sep\u2029par\n",
    "\ufeffbom\n",
    "bell\x07\x1b[31m\x00\n",
    "emoji 😀\nmath ∫\n",
    "\ufffe\uffff\n",
    "'single' \"double\" \\ back\\n\n",
    ("long " * 100 + "\n") * 2,
    "long " * 100 + "\x07",
]


def exchange(text: str) -> Exchange:
    return Exchange(
        role="coder",
        model="openai:m",
        max_tokens=5,
        messages=(Message(role="system", content=text), Message(role="user", content=f"{text}\nand {text}")),
        reply=Completion(text=text, stop=Stop.LENGTH, model="m-1", usage=Usage(input_tokens=1, reasoning_tokens=2)),
    )


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab \t\r\n-:#'\"|>\\é😀\x85\u2028"))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_texts_survive(text: str) -> None:
    assert parse_exchange(dump_exchange(exchange(text)).encode()) == exchange(text)


@pytest.mark.parametrize("text", WEIRD)
def test_weird_texts_survive_with_either_yaml_reader(text: str) -> None:
    dumped = dump_exchange(exchange(text))
    assert parse_exchange(dumped.encode()) == exchange(text)
    assert yaml.safe_load(dumped)["reply"]["text"] == text


@pytest.mark.parametrize("text", WEIRD)
def test_weird_texts_survive_on_disk(text: str, tmp_path: Path) -> None:
    record(tmp_path, request(text), text)
    assert Replay(tmp_path).complete(request(text)).text == text


def test_lone_surrogates_are_stored_as_marks(tmp_path: Path) -> None:
    record(tmp_path, request("log \udcff"), "x \ud800")
    assert Replay(tmp_path).complete(request("log \udcff")).text == "x ?"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("format: [1", "flow sequence"),
        ("just text", "not a mapping"),
        (SAMPLE.replace("format: 1", "format: 2"), "its format is 2, and this version reads 1"),
        (SAMPLE.replace("role: coder", "role: 7"), "'role' is int, not str"),
        (SAMPLE.replace("reply:", "replies:"), "'reply' is missing"),
        (SAMPLE.replace("  text: |", "  prose: |"), "'text' is missing"),
        (SAMPLE.replace("stop: end", "stop: tired"), "'tired'"),
        (SAMPLE.replace("role: system", "role: boss"), "'boss'"),
        (SAMPLE.replace("- role: system\n  content: You write scripts.", "- hello"), "a message is not a mapping"),
        (SAMPLE.replace("    input_tokens: 0", "    input_tokens: many"), "'input_tokens' is str, not int"),
    ],
)
def test_a_broken_recording_is_named(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "coder-1.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Replay(tmp_path)
    assert "coder-1.yaml is broken: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_recording_written_by_hand_may_be_short(tmp_path: Path) -> None:
    text = "{format: 1, role: coder, messages: [{role: user, content: hi}], reply: {text: ho}}"
    (tmp_path / "any name.yaml").write_text(text, encoding="utf-8")
    reply = Replay(tmp_path).complete(
        Request(role="coder", messages=(Message(role="user", content="hi"),), max_tokens=1)
    )
    assert reply == Completion(text="ho", stop=Stop.END, model="", usd=Decimal(0))


def test_nothing_to_replay(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("none yet", encoding="utf-8")
    (tmp_path / ".coder-1.yaml").write_text("hidden", encoding="utf-8")
    (tmp_path / "coder-2.yaml").touch()
    with pytest.raises(ConfigError, match="no recordings"):
        Replay(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Replay(tmp_path / "absent")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        Replay(tmp_path / "README.md")


def test_nowhere_to_record(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        Recording(Speaker(), tmp_path / "file" / "below", keys=KEYS)
    gone = tmp_path / "gone"
    model = Recording(Speaker("x"), gone, keys=KEYS)
    gone.rmdir()
    with pytest.raises(ConfigError, match="cannot be written to"):
        model.complete(request())


def test_secrets_are_not_stored(tmp_path: Path) -> None:
    asked = request(f"my key is {CANARY}", f"you said {CANARY}", "go", role=f"coder{CANARY}")
    inner = Speaker(f"x = '{CANARY}'")
    inner.name = f"openai:{CANARY}"
    reply = Recording(inner, tmp_path, keys=KEYS).complete(asked)
    assert CANARY in reply.text
    path = only_file(tmp_path)
    assert CANARY not in path.name + path.read_text(encoding="utf-8")
    assert Replay(tmp_path, keys=KEYS).complete(asked).text == "x = '[redacted]'"


def test_a_failing_model_leaves_no_recording(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        Recording(Speaker(), tmp_path, keys=KEYS).complete(request())
    assert list(tmp_path.iterdir()) == []


# --- replaying ------------------------------------------------------------------------------------------------------


def test_what_a_provider_said_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [say("x = 1", finish="length", input=9, output=8, cached=7, reasoning=6)], monkeypatch) as (
        model,
        _,
    ):
        recording = Recording(model, tmp_path, keys=KEYS)
        said = recording.complete(request())
    assert recording.name == "openai:some/model:7b"
    replay = open_model(f"replay:{tmp_path}", keys=Keys(), settings=CallSettings())
    assert replay.name == f"replay:{tmp_path}"
    assert replay.complete(request()) == replace(said, request_id=None, usd=Decimal(0))


def test_neither_the_limit_nor_trailing_whitespace_matters(tmp_path: Path) -> None:
    record(tmp_path, request("one  \r\ntwo\n\n", max_tokens=10), "x")
    assert Replay(tmp_path).complete(request("one\ntwo", max_tokens=20)).text == "x"


@pytest.mark.parametrize(
    "other", [request("one\n two"), request("one"), request("one\ntwo", role="supervisor"), request("a", "b", "c")]
)
def test_everything_else_does(other: Request, tmp_path: Path) -> None:
    record(tmp_path, request("one\ntwo"), "x")
    with pytest.raises(RecordingMissing):
        Replay(tmp_path).complete(other)


def test_replies_come_in_the_order_of_recording_and_the_last_one_stays(tmp_path: Path) -> None:
    record(tmp_path, request("again"), *"abcdefghijkl")
    record(tmp_path, request("other"), "z")
    replay = Replay(tmp_path)
    assert "".join(replay.complete(request("again")).text for _ in range(14)) == "abcdefghijklll"
    assert replay.complete(request("other")).text == "z"


def test_several_may_record_at_once(tmp_path: Path) -> None:
    threads = [threading.Thread(target=record, args=(tmp_path, request(), f"{n}-1", f"{n}-2")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 16
    replay = Replay(tmp_path)
    replies = [replay.complete(request()).text for _ in range(16)]
    assert sorted(replies) == sorted(f"{n}-{m}" for n in range(8) for m in (1, 2))
    assert all(replies.index(f"{n}-1") < replies.index(f"{n}-2") for n in range(8))


# --- misses ---------------------------------------------------------------------------------------------------------


def miss(directory: Path, asked: Request, keys: Keys = KEYS) -> str:
    with pytest.raises(RecordingMissing) as caught:
        Replay(directory, keys=keys).complete(asked)
    return str(caught.value)


def test_a_miss_shows_the_nearest_recording_and_the_first_difference(tmp_path: Path) -> None:
    record(tmp_path / "all", request("Plot the mass.\nIn GeV."), "x")
    record(tmp_path / "near", request("Fit m_yy\nwith DSCB+exp\nin 50 bins"), "x")
    near = only_file(tmp_path / "near")
    near.rename(tmp_path / "all" / near.name)
    text = miss(tmp_path / "all", request("Fit m_yy\nwith DSCB\nin 60 bins"))
    assert f"answers this request of the coder. The nearest is {near.name}; it first differs in message 2" in text
    assert "message 2 (user), line 2:\n  recorded: 'with DSCB+exp'\n  asked:    'with DSCB'\n" in text


def test_a_difference_far_to_the_right_is_shown(tmp_path: Path) -> None:
    record(tmp_path, request("a" * 5000 + "LEFT" + "b" * 5000), "x")
    text = miss(tmp_path, request("a" * 5000 + "RIGHT" + "b" * 5000))
    assert "… 'aaa" in text
    assert "aaaLEFTbbb" in text
    assert "aaaRIGHTbbb" in text
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (request("one\ntwo\nthree"), "line 3:\n  recorded: (the message has ended)\n  asked:    'three'"),
        (request("one"), "line 2:\n  recorded: 'two'\n  asked:    (the message has ended)"),
        (request("one\ntwo", "yes\nbut"), "message 3 (assistant), which is not recorded: 'yes'"),
        (request("one\ntwo", role="supervisor"), ", one of the coder; it first differs in nothing but the role"),
        (
            Request(role="coder", messages=request("one\ntwo").messages[:1], max_tokens=1),
            "message 2 (user), which is recorded and was not asked: 'one'",
        ),
        (
            Request(role="coder", messages=request("one\ntwo").messages[1:], max_tokens=1),
            "message 1, recorded as system's and asked as user's",
        ),
    ],
)
def test_where_requests_part(asked: Request, difference: str, tmp_path: Path) -> None:
    record(tmp_path, request("one\ntwo"), "x")
    assert difference in miss(tmp_path, asked)


def test_a_recording_of_the_same_role_is_nearer(tmp_path: Path) -> None:
    record(tmp_path, request("Is this script right?", role="supervisor"), "x")
    record(tmp_path, request("Write a script."), "x")
    assert "The nearest is supervisor-" in miss(tmp_path, request("Write a script, please.", role="supervisor"))


def test_a_miss_hides_secrets(tmp_path: Path) -> None:
    record(tmp_path, request("key"), "x")
    assert CANARY not in miss(tmp_path, request(f"key {CANARY}"))


def test_a_miss_among_many_is_found_quickly(tmp_path: Path) -> None:
    lines = [f"line {n} of the prompt with {n * 7919 % 1009} and {n * 104729 % 997}" for n in range(1200)]
    model = Recording(Speaker(*["x"] * 20), tmp_path, keys=KEYS)
    for number in range(20):
        model.complete(request("\n".join([*lines[number:], f"sample {number}"])))
    asked = request("\n".join([*lines[7:600], "changed", *lines[601:], "sample 7"]))
    started = time.monotonic()
    text = miss(tmp_path, asked)
    assert time.monotonic() - started < 2
    assert "recorded: 'line 600 of" in text
