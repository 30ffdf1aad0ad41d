"""The wrapper opendata/fetch, against servers on the loopback interface and local files. No network is used."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import runpy
import shutil
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wrappers import kit

WRAPPER = "phys/opendata/fetch"
CONTENT = bytes(range(256)) * 12_000  # 3 MB: several blocks
EOS_PATH = "/eos/opendata/atlas/OutreachDatasets/2020-08-19/GamGam/Data/data_A.GamGam.root"


def adler32(content: bytes) -> str:
    return f"adler32:{zlib.adler32(content):08x}"


class Server:
    """Serves `files` by path, with faults on request. `requests` lists what was asked: path, Range and If-Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.etag: str | None = '"v1"'
        self.length = True
        self.break_after: list[int] = []  # bytes after which the next answers break off
        self.failures: list[tuple[int, dict[str, str]]] = []  # status codes of the next answers
        self.requests: list[tuple[str, str | None, str | None]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, handler: Any) -> None:
        asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.requests.append((handler.path, asked, condition))
        handler.close_connection = True
        if self.failures:
            status, headers = self.failures.pop(0)
            self.head(handler, status, {"Content-Length": "5", **headers})
            handler.wfile.write(b"sorry")
            return
        content = self.files.get(handler.path)
        if content is None:
            self.head(handler, 404, {"Content-Length": "0"})
            return
        start, status, headers = 0, 200, {}
        if asked and self.ranges and condition in (None, self.etag):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                self.head(handler, 416, {"Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.length:
            headers["Content-Length"] = str(len(content) - start)
        if self.etag:
            headers["ETag"] = self.etag
        self.head(handler, status, headers)
        body = content[start:]
        if self.break_after:
            handler.wfile.write(body[: self.break_after.pop(0)])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wfile.write(body)

    @staticmethod
    def head(handler: Any, status: int, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    one = Server()
    thread = threading.Thread(target=functools.partial(one.http.serve_forever, poll_interval=0.01))
    thread.start()
    yield one
    one.http.shutdown()
    thread.join()
    one.http.server_close()


Fetch = Callable[..., str]


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Fetch:
    """Fetch /file.bin into out/file.bin with the right size and checksum, unless told otherwise."""
    server.files["/file.bin"] = CONTENT

    def run(**params: Any) -> str:
        given = {"url": f"{server.url}/file.bin", "size": len(CONTENT), "checksum": adler32(CONTENT), "wait": 0}
        given = {name: value for name, value in {**given, **params}.items() if value is not None}
        return kit.call(WRAPPER, tmp_path, output=[tmp_path / "out" / "file.bin"], params=given)

    return run


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@functools.cache
def records() -> dict[int, Any]:
    found: dict[int, Any] = runpy.run_path(str(kit.WRAPPERS / WRAPPER / "wrapper.py"))["RECORDS"]
    return found


def test_table_is_that_of_the_manifest() -> None:
    manifest = kit.SHARED_DATA / "atlas_gamgam_manifest.json"
    if not manifest.is_file():
        pytest.skip(f"{manifest} is not there to compare with")
    published = json.loads(manifest.read_text(encoding="utf-8"))["records"]
    assert sorted(map(str, records())) == sorted(published)
    for number, record in records().items():
        theirs = published[str(number)]
        assert (record.title, record.doi) == (theirs["title"], theirs["doi"])
        ours = [(file.name, file.size, file.checksum, file.uri) for file in record.files]
        assert ours == [(file["name"], file["size"], file["checksum"], file["uri"]) for file in theirs["files"]]


def test_table_has_what_the_sources_say_of_it() -> None:
    assert {number: len(record.files) for number, record in records().items()} == {15006: 10, 93915: 16, 93922: 48}
    names = [file.name for record in records().values() for file in record.files]
    assert len(set(names)) == len(names), "a file is found by its name alone"


def test_a_file_comes_whole(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    log = fetch()
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]
    assert server.requests == [("/file.bin", None, None)]
    assert adler32(CONTENT) in log


def test_broken_connections_are_resumed(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 500_000]
    fetch()
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    starts = [int((asked or "bytes=0-")[6:-1]) for _, asked, _ in server.requests]
    assert starts == [0, 1_000_000, 1_500_000]
    assert [condition for _, _, condition in server.requests] == [None, '"v1"', '"v1"']


def test_a_server_without_ranges_sends_all_again(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [1_000_000]
    log = fetch()
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    assert "from its start again (1,000,000 bytes were here)" in log
    assert len(server.requests) == 2


def test_a_server_without_ranges_that_always_breaks_ends(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [1_000_000] * 50
    with pytest.raises(kit.WrapperFailed, match="Given up after 3 attempts without a new byte"):
        fetch(retries=2)
    assert len(server.requests) == 4


def test_the_next_job_goes_on(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000]
    server.failures = []
    with pytest.raises(kit.WrapperFailed, match=r"2,000,000 bytes are kept in .*\.file\.bin\.part"):
        server.break_after = [2_000_000, 0]
        fetch(retries=0)
    assert left(tmp_path) == [".file.bin.part", ".file.bin.part.json"]
    log = fetch()
    assert "An earlier job left 2,000,000 bytes" in log
    assert server.requests[-1] == ("/file.bin", "bytes=2000000-", '"v1"')
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


def test_a_changed_file_is_not_mixed_with_the_old_one(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 0]
    with pytest.raises(kit.WrapperFailed, match="1,000,000 bytes are kept"):
        fetch(retries=0, checksum=None, size=None)
    server.files["/file.bin"], server.etag = CONTENT[::-1], '"v2"'
    fetch(checksum=None, size=None)
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_server_that_overlooks_if_range_is_found_out(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000]
    answer = server.answer

    def careless(handler: Any) -> None:
        if len(server.requests) == 1:
            server.files["/file.bin"], server.etag = CONTENT[::-1], '"v2"'
            del handler.headers["If-Range"]
        answer(handler)

    server.answer = careless  # type: ignore[method-assign]
    log = fetch(checksum=adler32(CONTENT[::-1]))
    assert "no longer the one that began to come" in log
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT[::-1]


def test_without_validator_only_a_checksum_allows_to_resume(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.etag = None
    server.break_after = [1_000_000, 0]
    with pytest.raises(kit.WrapperFailed):
        fetch(retries=0)
    fetch()
    assert server.requests[-1] == ("/file.bin", "bytes=1000000-", None)
    (tmp_path / "out" / "file.bin").unlink()
    server.break_after = [1_000_000, 0]
    with pytest.raises(kit.WrapperFailed):
        fetch(retries=0, checksum=None)
    fetch(checksum=None)
    again = "bytes=1000000-"
    assert [asked for _, asked, _ in server.requests] == [None, again, again, None, None, None]


def test_wrong_bytes_are_refused_and_removed(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.files["/file.bin"] = CONTENT[:-1] + b"x"
    with pytest.raises(kit.WrapperFailed) as failure:
        fetch()
    message = str(failure.value)
    assert f"expected {adler32(CONTENT)}, found {adler32(server.files['/file.bin'])}" in message
    assert "Traceback" not in message
    assert left(tmp_path) == []


def test_a_spoilt_partial_file_is_loaded_anew(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 0]
    with pytest.raises(kit.WrapperFailed):
        fetch(retries=0)
    part = tmp_path / "out" / ".file.bin.part"
    part.write_bytes(b"?" + part.read_bytes()[1:])
    log = fetch()
    assert "may be at fault: all is loaded anew" in log
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT


def test_a_partial_file_of_something_else_is_not_used(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [1_000_000, 0]
    with pytest.raises(kit.WrapperFailed):
        fetch(retries=0)
    server.files["/other.bin"] = CONTENT[::-1]
    fetch(url=f"{server.url}/other.bin", checksum=adler32(CONTENT[::-1]))
    assert server.requests[-1] == ("/other.bin", None, None)


def test_a_whole_partial_file_needs_no_server(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.break_after = [2_000_000, 0]
    with pytest.raises(kit.WrapperFailed):
        fetch(retries=0)
    (tmp_path / "out" / ".file.bin.part").write_bytes(CONTENT)
    asked = len(server.requests)
    fetch()
    assert len(server.requests) == asked
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT


def test_an_overloaded_server_is_asked_again(
    fetch: Fetch, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.failures = [(503, {}), (429, {"Retry-After": "7"}), (502, {}), (503, {"Retry-After": "100000"})]
    fetch(wait=1.5)
    assert waits == [3.0, 7.0, 12.0, 120.0]
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT


def test_an_error_page_is_not_taken_for_the_file(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.files["/file.bin"] = b"<html>Sorry</html>"
    with pytest.raises(kit.WrapperFailed, match=f"the server offers 18 bytes .*, the file has {len(CONTENT):,}"):
        fetch(retries=1)
    assert len(server.requests) == 2
    assert (tmp_path / "out" / ".file.bin.part").read_bytes() == b""


@pytest.mark.parametrize("status, hint", [(404, "no such file"), (403, "on tape"), (401, "login")])
def test_final_errors_are_not_repeated(fetch: Fetch, server: Server, status: int, hint: str) -> None:
    server.failures = [(status, {})] * 3
    with pytest.raises(kit.WrapperFailed, match=f"{status} .*{hint}") as failure:
        fetch()
    assert len(server.requests) == 1
    assert "Traceback" not in str(failure.value)


def test_no_server(fetch: Fetch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(kit.WrapperFailed, match=r"refused.*Given up after 3 attempts"):
            fetch(url=f"http://127.0.0.1:{taken.getsockname()[1]}/file.bin", retries=2)


def test_a_length_that_nobody_tells(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    server.length = False
    fetch()
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    server.files["/file.bin"] = CONTENT * 3
    with pytest.raises(kit.WrapperFailed, match="size: expected"):
        fetch()


def test_without_checksum_the_log_says_so(fetch: Fetch) -> None:
    assert "checksum unknown: it will not be verified" in fetch(checksum=None)


def test_other_checksums(fetch: Fetch) -> None:
    fetch(checksum="SHA256:" + hashlib.sha256(CONTENT).hexdigest().upper())
    with pytest.raises(kit.WrapperFailed, match="checksum: expected md5:0"):
        fetch(checksum="md5:0")


def test_leading_zeros_of_a_checksum_may_be_missing(fetch: Fetch, server: Server) -> None:
    content = b"a"  # adler32 is 00620062
    server.files["/file.bin"] = content
    fetch(size=1, checksum="adler32:620062")


def test_a_full_disk_is_seen_before(fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(kit.WrapperFailed, match=f"{len(CONTENT):,} bytes are needed for file.bin, 1,000 are free"):
        fetch()
    assert server.requests == []


def test_a_proxy_is_used(fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    server.files["http://opendata.invalid/file.bin"] = CONTENT
    fetch(url="http://opendata.invalid/file.bin")
    assert server.requests == [("http://opendata.invalid/file.bin", None, None)]


def test_a_known_file_comes_from_the_mirror_and_is_verified(server: Server, tmp_path: Path) -> None:
    server.files[EOS_PATH] = CONTENT
    output = tmp_path / "out" / "data_A.GamGam.root"
    params = {"mirror": server.url, "wait": 0, "retries": 0}
    with pytest.raises(kit.WrapperFailed, match="the file has 81,250,713"):
        kit.call(WRAPPER, tmp_path, output=[output], params=params)
    given = {"size": len(CONTENT), "checksum": adler32(CONTENT)}
    log = kit.call(WRAPPER, tmp_path, output=[output], params={**params, **given})
    assert server.requests == [(EOS_PATH, None, None)] * 2
    assert "10.7483/OPENDATA.ATLAS.B5BJ.3SGS" in log
    assert output.read_bytes() == CONTENT


def test_a_pattern_names_one_file(server: Server, tmp_path: Path) -> None:
    params = {"mirror": server.url, "retries": 0, "wait": 0}
    with pytest.raises(kit.WrapperFailed, match=r"mc_343981\.PowhegPythia8EvtGen.*404"):
        kit.call(
            WRAPPER,
            tmp_path,
            output=[tmp_path / "out.root"],
            params={**params, "record": 93922, "file": "*_mc_343981.*"},
        )
    with pytest.raises(kit.WrapperFailed, match=r"record 93922: 3 files fit '\*_mc_3453\*'"):
        kit.call(
            WRAPPER, tmp_path, output=[tmp_path / "out.root"], params={**params, "record": 93922, "file": "*_mc_3453*"}
        )


def record_json(server: Server, number: int) -> bytes:
    file = {"uri": "root://eospublic.cern.ch//eos/opendata/cms/a.root", "size": 5, "checksum": adler32(b"first")}
    inner = {"uri": "root://eospublic.cern.ch//eos/opendata/cms/b.root", "size": 6, "checksum": adler32(b"second")}
    server.files["/eos/opendata/cms/a.root"], server.files["/eos/opendata/cms/b.root"] = b"first", b"second"
    metadata = {
        "recid": str(number),
        "title": "A record",
        "license": {"attribution": "CC0-1.0"},
        "files": [file],
        "_file_indices": [{"key": "index.json", "size": 6, "files": [inner]}],
    }
    return json.dumps({"id": number, "metadata": metadata}).encode()


def test_other_records_are_looked_up(server: Server, tmp_path: Path) -> None:
    server.files["/api/records/4242"] = record_json(server, 4242)
    server.failures = [(503, {})]
    for name, content in (("a.root", b"first"), ("b.root", b"second")):
        output = {"file": tmp_path / "out" / name, "summary": tmp_path / f"{name}.json"}
        kit.call(WRAPPER, tmp_path, output=output, params={"record": 4242, "mirror": server.url, "wait": 0})
        assert output["file"].read_bytes() == content
        summary = json.loads(output["summary"].read_text(encoding="utf-8"))
        assert summary["checksum"] == adler32(content)
        assert summary["verified"] is True
        assert summary["record"] == {"number": 4242, "title": "A record", "doi": None, "licence": "CC0-1.0"}
        assert summary["provenance"]["wrapper"] == WRAPPER
    with pytest.raises(kit.WrapperFailed, match=r"record 4242 has no file 'c.root'. Did you mean b.root, a.root"):
        kit.call(WRAPPER, tmp_path, output=["c.root"], params={"record": 4242, "mirror": server.url})


def test_files_of_an_incomplete_record_are_looked_up(server: Server, tmp_path: Path) -> None:
    server.files["/api/records/93922"] = record_json(server, 93922)
    kit.call(WRAPPER, tmp_path, output=[tmp_path / "a.root"], params={"record": "93922", "mirror": server.url})
    assert (tmp_path / "a.root").read_bytes() == b"first"
    with pytest.raises(kit.WrapperFailed, match=r"record 93915 has no file 'a.root'"):
        kit.call(WRAPPER, tmp_path, output=["a.root"], params={"record": 93915, "mirror": server.url})
    assert [path for path, _, _ in server.requests].count("/api/records/93915") == 0


@pytest.mark.parametrize("text", [b"<html>", b"[]", b'{"metadata": {"files": [{"uri": "x"}]}}'])
def test_what_is_no_record(server: Server, tmp_path: Path, text: bytes) -> None:
    server.files["/api/records/1"] = text
    with pytest.raises(kit.WrapperFailed, match="this is not the JSON of a record"):
        kit.call(WRAPPER, tmp_path, output=["x.root"], params={"record": 1, "mirror": server.url})


def test_a_cache_saves_the_download(fetch: Fetch, server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fetch(cache=cache)
    assert (cache / "file.bin").read_bytes() == CONTENT
    (tmp_path / "out" / "file.bin").unlink()
    log = fetch(cache=cache)
    assert len(server.requests) == 1
    assert "nothing is downloaded" in log
    (cache / "file.bin").unlink()
    (cache / "file.bin").write_bytes(CONTENT[::-1])
    log = fetch(cache=cache)
    assert "is not the file of the record" in log
    assert (tmp_path / "out" / "file.bin").read_bytes() == CONTENT
    assert (cache / "file.bin").read_bytes() == CONTENT[::-1], "a file of somebody else is left alone"


def test_local_mirrors(tmp_path: Path) -> None:
    original = tmp_path / "mirror" / EOS_PATH[1:]
    original.parent.mkdir(parents=True)
    original.write_bytes(CONTENT)
    given = {"size": len(CONTENT), "checksum": adler32(CONTENT)}
    for mirror in (tmp_path / "mirror", f"file://{tmp_path}/mirror/"):
        output = tmp_path / "data_A.GamGam.root"
        kit.call(WRAPPER, tmp_path, output=[output], params={"mirror": mirror, **given})
        assert output.read_bytes() == CONTENT
        output.unlink()
    with pytest.raises(kit.WrapperFailed, match=r"data_B.GamGam.root: no such file. Did you mean data_A"):
        kit.call(WRAPPER, tmp_path, output=[tmp_path / "data_B.GamGam.root"], params={"mirror": tmp_path / "mirror"})


def test_a_local_file_is_resumed_too(tmp_path: Path) -> None:
    (tmp_path / "source.bin").write_bytes(CONTENT)
    output = tmp_path / "copy.bin"
    source = {"url": str(tmp_path / "source.bin"), "size": len(CONTENT), "checksum": adler32(CONTENT)}
    version = str((tmp_path / "source.bin").stat().st_mtime_ns)
    (tmp_path / ".copy.bin.part").write_bytes(CONTENT[:1000])
    (tmp_path / ".copy.bin.part.json").write_text(json.dumps({**source, "validator": version}), encoding="utf-8")
    log = kit.call(WRAPPER, tmp_path, output=[output], params=source)
    assert "An earlier job left 1,000 bytes" in log
    assert "from its start again" not in log
    assert output.read_bytes() == CONTENT


def test_other_kinds_of_addresses_go_through_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/file.bin", CONTENT)
    try:
        params = {"url": "memory://file.bin", "checksum": adler32(CONTENT)}
        kit.call(WRAPPER, tmp_path, output=[tmp_path / "file.bin"], params=params)
    finally:
        fsspec.filesystem("memory").rm("/file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    with pytest.raises(kit.WrapperFailed, match="there is no such file"):
        kit.call(WRAPPER, tmp_path, output=[tmp_path / "file.bin"], params=params)


def test_xrootd_addresses_are_those_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    asked: list[str] = []

    def absent(url: str) -> Any:
        asked.append(url)
        raise ImportError("no XRootD")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(kit.WrapperFailed, match="root:// needs fsspec-xrootd"):
        params = {"mirror": "root://eospublic.cern.ch/"}
        kit.call(WRAPPER, tmp_path, output=[tmp_path / "data_A.GamGam.root"], params=params)
    assert asked == [f"root://eospublic.cern.ch/{EOS_PATH}"]


@pytest.mark.parametrize(
    "params, message",
    [
        ({"reccord": 1}, "there is no 'reccord'. Did you mean record"),
        ({"record": "GamGam"}, "record='GamGam' is not a whole number"),
        ({"retries": -1}, "retries=-1 is not a whole number"),
        ({"timeout": 0}, "timeout=0 is not a number of seconds"),
        ({"checksum": "crc:1"}, "crc"),
        ({"checksum": "adler32:xyz"}, "is not like adler32:29634ba7"),
        ({}, "data_Q.GamGam.root: no file of records 15006, 93915, 93922.*Did you mean data_D.GamGam.root"),
    ],
)
def test_wrong_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(kit.WrapperFailed, match=message):
        kit.call(WRAPPER, tmp_path, output=[tmp_path / "data_Q.GamGam.root"], params=params)


def test_wrong_outputs(tmp_path: Path) -> None:
    with pytest.raises(kit.WrapperFailed, match=r"name one file"):
        kit.call(WRAPPER, tmp_path, output=["a.root", "b.root"])
    with pytest.raises(kit.WrapperFailed, match=r"there is no 'sumary'. Did you mean summary"):
        kit.call(WRAPPER, tmp_path, output={"file": "a.root", "sumary": "b.json"})


def test_example(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    published = (folder / "mirror/eos/opendata/example/events.csv").read_bytes()
    assert (folder / "results/events.csv").read_bytes() == published
    assert (folder / "results/copy.csv").read_bytes() == published
    summary = json.loads((folder / "results/events.json").read_text(encoding="utf-8"))
    assert summary["checksum"] == adler32(published)
    assert summary["bytes"] == len(published)
