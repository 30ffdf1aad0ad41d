"""Download one file of the CERN Open Data portal: resumed where it broke off, verified, whole or not at all.

The files of the ATLAS Open Data GamGam collections (records 15006, 93915 and 93922) are known by name, with their sizes
and checksums. Files of other records are looked up in the record's JSON, as cernopendata-client does: the portal serves
it as /api/records/NUMBER, `files` and `_file_indices` list address, size and Adler-32 checksum of each file, and
root://eospublic.cern.ch//eos/opendata/... is the same file as https://opendata.cern.ch/eos/opendata/...
"""

import email.utils
import errno
import fnmatch
import http.client
import io
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

# --- common: job (kept by wrappers/embed.py; edit wrappers/common/job.py) ---
# What every wrapper does around its work: log, errors, parameters, progress, provenance, whole files or none.

import contextlib
import difflib
import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Importing packages makes many objects that stay: looking through them for garbage takes a tenth of a short job's time.
gc.set_threshold(50_000, 20, 100)

VERSION = "0.1.0"
HASHED_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are identified by their SHA-256 in the provenance; larger ones by their size alone."""


class WrongInput(Exception):
    """The person who wrote the rule can mend this: the message says which file or parameter, and what to do."""


@contextlib.contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed to the rule's log, and errors to the terminal too.

    Raises:
        SystemExit: with status 1 after a `WrongInput`, whose message is shown without a traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    path = Path(snakemake.log[0]) if len(snakemake.log) else None
    message = ""
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        try:
            yield
        except WrongInput as error:
            message = f"Error: {error}\n"
        except Exception:
            message = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if message and path:
            os.write(2, message.encode())
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        gc.freeze()  # the job is done: nothing is worth a last look for garbage
    if message:
        sys.stderr.write(message)
        raise SystemExit(1)


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """Say which of `names` are like `name`: text for the end of an error message."""
    known = sorted(set(map(str, names)))
    lowered = {one.lower(): one for one in known}
    alike = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if alike:
        return f"Did you mean {', '.join(alike)}?"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"There are: {shown}." if known else "There are none."


def parameters(snakemake: Any, defaults: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the rule's params, completed by defaults.

    Args:
        snakemake: the object that Snakemake gives to a script.
        defaults: what params there are, and their values where the rule names none.
        required: params without a default.

    Raises:
        WrongInput: for an unknown, unnamed or missing param.
    """
    given = dict(snakemake.params.items())
    if len(snakemake.params) > sum(1 for _ in given):
        raise WrongInput('params: each needs a name, as in `params: cut="..."`')
    known = [*required, *defaults]
    for name in given:
        if name not in known:
            raise WrongInput(f"params: there is no {name!r}. {near(name, known)}")
    for name in required:
        if given.get(name) is None:
            raise WrongInput(f"params: {name!r} is missing")
    return {**defaults, **given}


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return the value of a param that is one of some words, or raise `WrongInput`."""
    if value not in options:
        raise WrongInput(f"params: {name}={value!r} is none of {', '.join(options)}. {near(str(value), options)}")
    return str(value)


def existing(paths: Iterable[Any]) -> list[str]:
    """Return paths as text after looking whether the local ones are files.

    Raises:
        WrongInput: naming the first file that is missing or empty, and files with similar names beside it.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if "://" in text:
            continue
        path = Path(text)
        if not path.is_file():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongInput(f"{text}: no such file. {near(path.name, beside)}")
        if path.stat().st_size == 0:
            raise WrongInput(f"{text}: the file is empty")
    return texts


def provenance(snakemake: Any, wrapper: str, packages: Sequence[str]) -> dict[str, Any]:
    """Describe how an output came about, without anything that differs from one run to the next.

    Args:
        snakemake: the object that Snakemake gives to a script.
        wrapper: the wrapper's place in the collection, such as `phys/uproot/skim`.
        packages: distributions whose versions matter.
    """
    return {
        "wrapper": wrapper,
        "version": VERSION,
        "inputs": [_identity(str(path)) for path in snakemake.input],
        "params": json.loads(json.dumps(dict(snakemake.params.items()), default=str, sort_keys=True)),
        "packages": {name: importlib.metadata.version(name) for name in sorted(packages)},
    }


def _identity(path: str) -> dict[str, Any]:
    if "://" in path or not Path(path).is_file():
        return {"file": path}
    size = Path(path).stat().st_size
    identity: dict[str, Any] = {"file": Path(path).name if Path(path).is_absolute() else path, "bytes": size}
    if size <= HASHED_BYTES:
        identity["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return identity


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """Yield a hidden name beside `path` (same suffix) to write to; it becomes `path` if all goes well, else it goes."""
    final = Path(str(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Write JSON for people and programs: indented, in the order given, whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


class Progress:
    """Lines in the log about how far long work has come, at most one every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "events", *, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, number: int) -> None:
        """Count `number` more; print a line if the last one is some seconds old."""
        self.done += number
        now = time.monotonic()
        if now - self.said >= self.every and self.done:
            self.said = now
            left = (now - self.started) * (self.total / self.done - 1)
            share = 100 * self.done / max(self.total, 1)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0f} %), {left:.0f} s left",
                flush=True,
            )


# --- end of common ---

WRAPPER = "phys/opendata/fetch"
EOS = "root://eospublic.cern.ch/"
"""What the addresses of a record begin with; a mirror stands in its place."""
PORTAL = "https://opendata.cern.ch"
BLOCK = 1024 * 1024
LONGEST_WAIT = 120.0
"""A server may ask for patience (Retry-After); longer than this [s] nobody waits."""
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Status codes that may be different next time."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file of a record.

    Attributes:
        uri: where the record says it is.
        size: in bytes, None if unknown.
        checksum: such as `adler32:29634ba7`, None if unknown.
    """

    uri: str
    size: int | None
    checksum: str | None

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.uri.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record of the portal: `complete` tells whether all its files are listed here."""

    number: int
    title: str
    doi: str | None
    complete: bool
    files: tuple[Remote, ...]
    licence: str = "CC0-1.0"


def listing(folder: str, start: str, end: str, lines: str) -> tuple[Remote, ...]:
    """Read a table of checksum, size and middle of the name, one file per line."""
    rows = [line.split() for line in lines.strip().splitlines()]
    return tuple(
        Remote(uri=f"{folder}{start}{middle}{end}", size=int(size), checksum=f"adler32:{checksum}")
        for checksum, size, middle in rows
    )


# Source: the records' own metadata, github.com/cernopendata/opendata.cern.ch at cbdb4cc2a, data/records (CC0-1.0).
# Of the 373 files of record 93922 those with photons are here; the others are looked up in the portal.
RECORDS = {
    15006: Record(
        number=15006,
        title="ATLAS 13 TeV samples collection Gamma-Gamma, for 2020 Open Data release",
        doi="10.7483/OPENDATA.ATLAS.B5BJ.3SGS",
        complete=True,
        files=listing(
            "root://eospublic.cern.ch//eos/opendata/atlas/OutreachDatasets/2020-08-19/",
            "",
            "",
            """
            d880482c 1593950859 GamGam.zip
            29634ba7 81250713 GamGam/Data/data_A.GamGam.root
            afaa0bed 289902606 GamGam/Data/data_B.GamGam.root
            46c10b74 424774751 GamGam/Data/data_C.GamGam.root
            3c5ca072 686798449 GamGam/Data/data_D.GamGam.root
            f76530f0 217819076 GamGam/MC/mc_341081.ttH125_gamgam.GamGam.root
            5b858188 218418347 GamGam/MC/mc_343981.ggH125_gamgam.GamGam.root
            8cff2e38 108616148 GamGam/MC/mc_345041.VBFH125_gamgam.GamGam.root
            5ac6bca3 29757932 GamGam/MC/mc_345318.WpH125J_Wincl_gamgam.GamGam.root
            6b506f04 58701804 GamGam/MC/mc_345319.ZH125J_Zincl_gamgam.GamGam.root
            """,
        ),
    ),
    93915: Record(
        number=93915,
        title="ATLAS ROOT ntuple format Run 2 2015+2016 proton-proton collision data beta release, GamGam skim",
        doi="10.7483/OPENDATA.ATLAS.GYRR.GRP3",
        complete=True,
        files=listing(
            "root://eospublic.cern.ch//eos/opendata/atlas/rucio/opendata/",
            "ODEO_FEB2025_v0_GamGam_",
            ".GamGam.root",
            """
            037f48e7 17541818 data15_periodD
            5b6c774b 141975625 data15_periodE
            20353e70 95022340 data15_periodF
            28691bde 221345638 data15_periodG
            ed5cef5b 74522772 data15_periodH
            231ad87f 408883172 data15_periodJ
            3d20136e 165726034 data16_periodA
            b97b371c 508021080 data16_periodB
            490c71d5 636876354 data16_periodC
            818cd37a 1273874265 data16_periodD
            6aaa8cb0 409839207 data16_periodE
            eee689ae 940511987 data16_periodF
            782471db 1055927491 data16_periodG
            3b9297d4 1602459069 data16_periodI
            cbcb3944 605960864 data16_periodK
            96d47683 1703011027 data16_periodL
            """,
        ),
    ),
    93922: Record(
        number=93922,
        title="ATLAS ROOT ntuple format MC simulation, 2015+2016 proton-proton collisions beta release, GamGam skim",
        doi="10.7483/OPENDATA.ATLAS.IMZO.7U52",
        complete=False,
        files=listing(
            "root://eospublic.cern.ch//eos/opendata/atlas/rucio/opendata/",
            "ODEO_FEB2025_v0_GamGam_",
            ".GamGam.root",
            """
            5c7f0ecf 322658547 mc_302520.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_55_100
            b43248ea 110755804 mc_302521.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_100_160
            29b766d2 35876133 mc_302522.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_160_250
            4814f1d7 18223555 mc_302523.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_250_400
            d7154fb9 41327857 mc_302524.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_400_650
            dd6d8630 16487702 mc_302525.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_650_1000
            bd012f49 33537960 mc_302526.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_1000_1500
            fad3104c 32943130 mc_302527.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_1500_2000
            69cc5b14 45138209 mc_302528.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_2000_2500
            b0bbd659 29077221 mc_302529.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_2500_3000
            eead54ba 45968139 mc_302530.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_3000_3500
            1ad4590b 20620763 mc_302531.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_3500_4000
            86dc3d31 34475394 mc_302532.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_4000_4500
            851e8bdd 13511612 mc_302533.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_4500_5000
            36405a8f 31881489 mc_302534.Pythia8EvtGen_A14NNPDF23LO_2DP20_Mass_5000_inf
            3e3f0a3b 32086416 mc_343981.PowhegPythia8EvtGen_NNLOPS_nnlo_30_ggH125_gamgam
            f08477df 9713372 mc_345061.PowhegPythia8EvtGen_NNPDF3_AZNLO_ggZH125_HgamgamZinc
            dafbc675 42229740 mc_345317.PowhegPythia8EvtGen_NNPDF30_AZNLO_WmH125J_Hyy_Wincl_MINLO
            09255474 20950650 mc_345318.PowhegPythia8EvtGen_NNPDF30_AZNLO_WpH125J_Hyy_Wincl_MINLO
            73e37d64 14484826 mc_345319.PowhegPythia8EvtGen_NNPDF30_AZNLO_ZH125J_Hyy_Zincl_MINLO
            52f61c51 14414350 mc_346214.PowhegPy8EG_NNPDF30_AZNLOCTEQ6L1_VBFH125_gamgam
            baf66db3 10229225 mc_346486.aMcAtNloPythia8EvtGen_tWH125_yy
            7f1227ff 41246308 mc_346525.PowhegPythia8EvtGen_A14NNPDF23_NNPDF30ME_ttH125_gamgam
            d579be64 46609889 mc_346526.PowhegHerwig7EvtGen_H7UE_NNPDF30ME_ttH125_gamgam
            e54676c7 32842543 mc_346601.aMcAtNloHerwig7EvtGen_MEN30NLO_ttH125_gamgam
            00e6e530 9747796 mc_346602.aMcAtNloHerwig7EvtGen_MEN30NLO_tHjb125_gamgam
            c89c7181 353422181 mc_346797.PhH7EG_H7UE_NNLOPS_nnlo_30_ggH125_gamgam
            978f42cb 51968 mc_423099.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP8_17
            87615d93 839297 mc_423100.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP17_35
            1b78ade8 4586627 mc_423101.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP35_50
            1c1a3991 10124108 mc_423102.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP50_70
            5bf96f22 10489108 mc_423103.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP70_140
            118b6d27 18263805 mc_423104.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP140_280
            1d0bc94e 21704422 mc_423105.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP280_500
            49a76788 3491821 mc_423106.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP500_800
            c84ef90c 2558562 mc_423107.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP800_1000
            7594ab5e 3829343 mc_423108.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP1000_1500
            80ee2a9c 1606772 mc_423109.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP1500_2000
            e52285d6 1292874 mc_423110.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP2000_2500
            6fa10ef8 2264143 mc_423111.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP2500_3000
            97015115 1655884 mc_423112.Pythia8EvtGen_A14NNPDF23LO_gammajet_DP3000_inf
            dd9065d6 9167538 mc_500553.aMCPy8EG_ZH_FxFx_Hyy
            0f163660 7512799 mc_500554.aMCPy8EG_WH_FxFx_Hyy
            6ea24d29 9649395 mc_500555.aMCPy8EG_ggZH_Hyy
            dd07866c 28447493 mc_506811.aMCH7EG_VBF_HC_Hyy
            fcfc408e 7526501 mc_506813.aMCPy8EG_ZH_had_FxFx_Hyy
            9397b098 10002571 mc_506814.aMCPy8EG_ggZH_Zhad_Hyy
            5a974996 10759701 mc_700007.Sh_228_yyy_01NLO
            """,
        ),
    ),
}


class Passing(Exception):
    """Something that may go better next time; `wait` is how long the server asked to wait [s]."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Checksum:
    """A running checksum and the one that it should become."""

    def __init__(self, expected: str | None) -> None:
        self.expected = expected
        self.kind, _, self.wanted = (expected or "adler32:").lower().partition(":")
        self.sum = 1
        self.hash = None if self.kind == "adler32" else hashlib.new(self.kind)

    def update(self, block: bytes) -> None:
        """Take in more bytes."""
        if self.hash is None:
            self.sum = zlib.adler32(block, self.sum)
        else:
            self.hash.update(block)

    @property
    def found(self) -> str:
        """The checksum so far, such as `adler32:29634ba7`."""
        return f"{self.kind}:{self.sum:08x}" if self.hash is None else f"{self.kind}:{self.hash.hexdigest()}"

    @property
    def right(self) -> bool:
        """Whether it is the expected one; leading zeros that a record may leave out do not count."""
        return self.expected is None or self.found.split(":")[1].lstrip("0") == self.wanted.lstrip("0")


class Partial:
    """What has come so far of a file: a hidden file beside the final name, and what is known of its source.

    `.NAME.part` holds the bytes, `.NAME.part.json` the address, the expected checksum and the server's validator (ETag
    or Last-Modified). Both survive a failed job, so that the next one goes on from there.
    """

    def __init__(self, final: Path, url: str, remote: Remote) -> None:
        self.path = final.with_name(f".{final.name}.part")
        self.state = final.with_name(f".{final.name}.part.json")
        self.source = {"url": url, "size": remote.size, "checksum": remote.checksum}
        self.remote = remote
        self.validator: str | None = None
        self.size = 0
        self.kept = 0
        self.checksum = Checksum(remote.checksum)
        self._take_up()

    def _take_up(self) -> None:
        """Go on with bytes that an earlier job left, if they are of the same file."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        same = isinstance(state, dict) and {key: state.get(key) for key in self.source} == self.source
        too_long = self.path.is_file() and self.remote.size is not None and self.path.stat().st_size > self.remote.size
        if not self.path.is_file() or not same or too_long:
            self.restart(None)
            return
        self.validator = state.get("validator")
        for block in blocks(self.path):
            self.checksum.update(block)
            self.size += len(block)
        self.kept = self.size
        if self.kept:
            print(f"An earlier job left {self.kept:,} bytes in {self.path}: going on from there")

    def restart(self, validator: str | None) -> None:
        """Forget the bytes; `validator` is what the server says of the version that it will send."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")
        self.size = self.kept = 0
        self.checksum = Checksum(self.remote.checksum)
        self.remember(validator)

    def remember(self, validator: str | None) -> None:
        """Write down which version of the file the bytes are of."""
        self.validator = validator
        self.state.write_text(json.dumps({**self.source, "validator": validator}) + "\n", encoding="utf-8")

    def discard(self) -> None:
        """Remove what has come."""
        self.path.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def become(self, final: Path) -> None:
        """Give the whole file its name."""
        self.path.replace(final)
        self.state.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open connection: where in the file it begins, how long the whole file is, which version it is."""

    stream: Any
    start: int
    size: int | None
    validator: str | None
    kind: str


def blocks(path: Path) -> Iterator[bytes]:
    """Read a file in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


@contextmanager
def opened(url: str, start: int, validator: str | None, timeout: float) -> Iterator[Source]:
    """Open a file at byte `start` if that is possible and it is still the version named by `validator`.

    Raises:
        Passing: if another attempt may succeed.
        WrongInput: if not.
    """
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        with opened_http(url, start, validator, timeout) as source:
            yield source
    elif scheme in ("", "file"):
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path)) if scheme else Path(url).expanduser()
        with Path(existing([path])[0]).open("rb") as file:
            status = path.stat()
            version = f"{status.st_mtime_ns}"
            begin = start if start <= status.st_size and validator in (None, version) else 0
            file.seek(begin)
            yield Source(stream=file, start=begin, size=status.st_size, validator=version, kind="a local file")
    else:
        with opened_fsspec(url, start) as source:
            yield source


@contextmanager
def opened_http(url: str, start: int, validator: str | None, timeout: float) -> Iterator[Source]:
    """Open an HTTP address; proxies are those of the environment (http_proxy, https_proxy, no_proxy).

    A range is asked for with If-Range (RFC 9110, section 13.1.5), so that a changed file comes whole.
    """
    headers = {"User-Agent": f"snakemake-wrapper {WRAPPER} {VERSION}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator and not validator.startswith("W/"):
            headers["If-Range"] = validator
    request = urllib.request.Request(urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers=headers)
    try:
        response = urllib.request.build_opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise http_error(url, error) from None
    except urllib.error.URLError as error:
        raise connection_error(url, error.reason) from None
    except (OSError, http.client.HTTPException) as error:
        raise connection_error(url, error) from None
    with response:
        begin, size = 0, response.headers.get("Content-Length")
        if response.status == 206:
            begin, size = content_range(response.headers.get("Content-Range", ""))
        yield Source(
            stream=response,
            start=begin,
            size=int(size) if size and str(size).isdigit() else None,
            validator=response.headers.get("ETag") or response.headers.get("Last-Modified"),
            kind=response.headers.get("Content-Type", "no content type"),
        )


def content_range(text: str) -> tuple[int, str | None]:
    """Read the header Content-Range: first byte, and size of the whole file."""
    span, _, size = text.removeprefix("bytes").strip().partition("/")
    first = span.partition("-")[0]
    if not first.isdigit():
        raise Passing(f"the server answers with the range {text!r}")
    return int(first), size if size.isdigit() else None


def http_error(url: str, error: urllib.error.HTTPError) -> Exception:
    """Say what an HTTP error means for the person who wrote the rule."""
    if error.code in PASSING:
        return Passing(f"{error.code} {error.reason}", patience(error.headers.get("Retry-After")))
    if error.code == 416:
        return Passing("416: the server has fewer bytes than came before", 0.0)
    hint = {
        404: "There is no such file (any more). See the record's page, or set params: mirror=... or url=...",
        401: "The server wants a login; open data need none. Is the address right?",
        403: "The server refuses it. Is a proxy needed (https_proxy), or is the file on tape (see its record)?",
        407: "The proxy wants a login: put it into https_proxy.",
    }
    return WrongInput(f"{url}: {error.code} {error.reason}. {hint.get(error.code, '')}".rstrip())


def connection_error(url: str, reason: Any) -> Exception:
    """Tell errors of certificates, which stay, from those of the network, which may pass."""
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return WrongInput(f"{url}: {reason}. Point SSL_CERT_FILE to the certificates of your system or proxy.")
    return Passing(f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason))


def patience(header: str | None) -> float | None:
    """Return the seconds that Retry-After asks for (a number or a date)."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


@contextmanager
def opened_fsspec(url: str, start: int) -> Iterator[Source]:
    """Open an address of any other kind, such as root://, with fsspec and what is installed for it."""
    scheme = url.split(":")[0]
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        package = "fsspec-xrootd" if scheme == "root" else "fsspec and its part"
        raise WrongInput(f"{url}: {scheme}:// needs {package} for {scheme}:// in the environment ({error})") from None
    try:
        size = int(system.size(path))
        with system.open(path, "rb") as file:
            file.seek(start)
            yield Source(stream=file, start=start, size=size, validator=None, kind=scheme)
    except FileNotFoundError:
        raise WrongInput(f"{url}: there is no such file") from None


def receive(url: str, part: Partial, timeout: float) -> None:
    """Receive what is missing of a file.

    Raises:
        Passing: if the connection fails, ends early, or what the server offers cannot be the file.
        WrongInput: if it cannot succeed.
    """
    expected = part.remote.size
    if part.validator is None and part.remote.checksum is None:
        part.restart(None)  # nothing could tell whether the rest is of the same version
    with opened(url, part.size, part.validator, timeout) as source:
        if expected is not None and source.size not in (None, expected):
            raise Passing(f"the server offers {source.size:,} bytes ({source.kind}), the file has {expected:,}")
        changed = None not in (part.validator, source.validator) and part.validator != source.validator
        if source.start and (source.start != part.size or changed):
            part.restart(None)
            raise Passing("the file is no longer the one that began to come", 0.0)
        if source.start == 0 and part.size:
            print(f"The server sends the file from its start again ({part.size:,} bytes were here)")
        if source.start == 0:
            part.restart(source.validator)
        size = source.size or expected
        progress = Progress(part.remote.name, (size or 0) - part.size, "bytes") if size else None
        with part.path.open("ab") as file:
            for block in incoming(source):
                store(file, block, part)
                if progress:
                    progress.add(len(block))
                if size is not None and part.size > size:
                    break
    if size is not None and part.size < size:
        raise Passing(f"the connection ended after {part.size:,} of {size:,} bytes")


def incoming(source: Source) -> Iterator[bytes]:
    """Read blocks as they come, a smaller one too, so that what came before a break is kept."""
    read = source.stream.read1 if isinstance(source.stream, io.BufferedIOBase) else source.stream.read
    while True:
        try:
            block = read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise Passing(f"{type(error).__name__}: {error}") from None
        if not block:
            return
        yield block


def store(file: Any, block: bytes, part: Partial) -> None:
    """Append a block to the partial file."""
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WrongInput(
                f"{part.path}: no space left after {part.size:,} bytes; they are kept for the next job"
            ) from None
        raise
    part.checksum.update(block)
    part.size += len(block)


def download(url: str, remote: Remote, final: Path, settings: Mapping[str, Any]) -> str:
    """Bring a file to its final name; return its checksum.

    Attempts in a row that bring no new byte are counted; each waits twice as long as the one before.
    """
    part = Partial(final, url, remote)
    check_space(part)
    best, failures, anew = part.size, 0, False
    while True:
        try:
            if remote.size is None or part.size != remote.size:
                receive(url, part, settings["timeout"])
            if wrong := mismatch(part):
                if part.kept and not anew:
                    print(f"{wrong}\nThe bytes of the earlier job may be at fault: all is loaded anew")
                    anew = True
                    part.restart(None)
                    continue
                part.discard()
                raise WrongInput(f"{url}: {wrong} What had come was removed.")
            part.become(final)
            return part.checksum.found
        except Passing as error:
            failures = 0 if part.size > best else failures + 1
            best = max(best, part.size)
            if failures > settings["retries"]:
                kept = (
                    f" {part.size:,} bytes are kept in {part.path}: the next job goes on from there."
                    if part.size
                    else ""
                )
                raise WrongInput(
                    f"{url}: {error}. Given up after {failures} attempts without a new byte.{kept}"
                ) from None
            wait = settings["wait"] * 2**failures if error.wait is None else error.wait
            wait = min(wait, LONGEST_WAIT)
            print(f"{url}: {error}. Next attempt in {wait:g} s", flush=True)
            time.sleep(wait)


def mismatch(part: Partial) -> str:
    """Say in which way a file that came whole is not the expected one; empty if it is."""
    if part.remote.size is not None and part.size != part.remote.size:
        return f"size: expected {part.remote.size:,} bytes, found {part.size:,}."
    if not part.checksum.right:
        return f"checksum: expected {part.remote.checksum}, found {part.checksum.found}."
    return ""


def check_space(part: Partial) -> None:
    """Raise `WrongInput` if the file will not fit on the disk."""
    missing = (part.remote.size or 0) - part.size
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise WrongInput(f"{part.path.parent}: {missing:,} bytes are needed for {part.remote.name}, {free:,} are free")


def from_cache(folder: Path, remote: Remote, final: Path) -> str | None:
    """Take a file from a folder that has it: return its checksum, or None if it is not there or not the right one."""
    found = folder / remote.name
    if remote.checksum is None or not found.is_file():
        return None
    checksum = Checksum(remote.checksum)
    if remote.size in (None, found.stat().st_size):
        for block in blocks(found):
            checksum.update(block)
        if checksum.right:
            link(found, final)
            print(f"{found}: has the right size and checksum, nothing is downloaded")
            return checksum.found
    print(f"{found}: is not the file of the record (size or checksum); it is left alone, and not used")
    return None


def link(old: Path, new: Path) -> None:
    """Make a hard link, or a copy where that cannot be."""
    with replacing(new) as partial:
        try:
            os.link(old, partial)
        except OSError:
            shutil.copyfile(old, partial)


def to_cache(folder: Path, remote: Remote, final: Path) -> None:
    """Keep a verified file in the folder as well, if it can be written to and has none of that name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / remote.name).exists():
            link(final, folder / remote.name)
            print(f"{folder / remote.name}: kept for other workflows")
    except OSError as error:
        print(f"{folder}: {remote.name} cannot be kept there ({error})")


def address(uri: str, mirror: str) -> str:
    """Put a mirror in the place of the storage server."""
    if not uri.startswith(EOS):
        return uri
    path = uri.removeprefix(EOS)
    return f"{mirror.rstrip('/')}/{path}" if mirror.startswith("root:") else mirror.rstrip("/") + path


def looked_up(number: int, mirror: str, settings: Mapping[str, Any]) -> Record:
    """Ask the portal which files a record has."""
    base = PORTAL if mirror.startswith("root:") else mirror.rstrip("/")
    url = f"{base}/api/records/{number}"
    print(f"Files of record {number}: {url}")
    text = small(url, settings)
    try:
        data = json.loads(text)["metadata"]
        indices = [file for index in data.get("_file_indices", []) for file in index["files"]]
        files = tuple(
            Remote(uri=str(file["uri"]), size=int(file["size"]), checksum=str(file["checksum"]))
            for file in [*data.get("files", []), *indices]
        )
        title, licence = str(data.get("title", "")), data.get("license", {}).get("attribution", "see the record")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongInput(f"{url}: this is not the JSON of a record ({type(error).__name__}: {error})") from None
    return Record(number=number, title=title, doi=data.get("doi"), complete=True, files=files, licence=str(licence))


def small(url: str, settings: Mapping[str, Any]) -> bytes:
    """Read a short answer whole, with the attempts that a download has."""
    for failures in range(settings["retries"] + 1):
        try:
            with opened(url, 0, None, settings["timeout"]) as source:
                text = b"".join(incoming(source))
            if source.size not in (None, len(text)):
                raise Passing(f"the connection ended after {len(text):,} of {source.size:,} bytes")
            return text
        except Passing as error:
            if failures == settings["retries"]:
                raise WrongInput(f"{url}: {error}. Given up after {failures + 1} attempts.") from None
            time.sleep(min(settings["wait"] * 2**failures if error.wait is None else error.wait, LONGEST_WAIT))
    raise AssertionError("unreachable")


def matching(record: Record, name: str) -> Remote | None:
    """Find the file of that name, or the only one that fits a pattern with * and ?.

    Raises:
        WrongInput: if several fit.
    """
    exact = [file for file in record.files if name in (file.name, file.uri)]
    fitting = exact or [file for file in record.files if fnmatch.fnmatchcase(file.name, name)]
    if len(fitting) > 1:
        names = ", ".join(file.name for file in fitting[:5])
        raise WrongInput(
            f"record {record.number}: {len(fitting)} files fit {name!r}: {names}. Name one in params: file=..."
        )
    return fitting[0] if fitting else None


def chosen(name: str, settings: Mapping[str, Any]) -> tuple[Record | None, Remote]:
    """Find out which file is wanted.

    Raises:
        WrongInput: if no record has it.
    """
    number, url = settings["record"], settings["url"]
    known = [RECORDS[number]] if number in RECORDS else [] if number is not None else list(RECORDS.values())
    for record in known:
        if remote := matching(record, name):
            return record, remote
    if url:
        return None, Remote(uri=url, size=None, checksum=None)
    if number is None:
        names = [file.name for record in known for file in record.files]
        listed = ", ".join(map(str, RECORDS))
        raise WrongInput(f"{name}: no file of records {listed}; for others set params: record=... {near(name, names)}")
    record = known[0] if known and known[0].complete else looked_up(number, settings["mirror"], settings)
    remote = matching(record, name)
    if remote is None:
        raise WrongInput(f"record {number} has no file {name!r}. {near(name, [file.name for file in record.files])}")
    return record, remote


DEFAULTS: dict[str, Any] = {
    "record": None,
    "file": None,
    "url": None,
    "mirror": PORTAL,
    "size": None,
    "checksum": None,
    "cache": None,
    "retries": 5,
    "wait": 2.0,
    "timeout": 60.0,
}


def checked(snakemake: Any) -> dict[str, Any]:
    """Return the params after looking at each."""
    settings = parameters(snakemake, DEFAULTS)
    for name in ("record", "size"):
        if settings[name] is not None:
            settings[name] = whole(name, settings[name], least=1)
    settings["retries"] = whole("retries", settings["retries"], least=0)
    for name in ("wait", "timeout"):
        if (
            not isinstance(settings[name], int | float)
            or settings[name] < 0
            or (name == "timeout" and not settings[name])
        ):
            raise WrongInput(f"params: {name}={settings[name]!r} is not a number of seconds")
    if settings["checksum"] is not None:
        kind, _, digits = str(settings["checksum"]).lower().partition(":")
        lengths = {"adler32": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
        choice("checksum (before the colon)", kind, list(lengths))
        if not digits or len(digits) > lengths[kind] or set(digits) - set("0123456789abcdef"):
            raise WrongInput(f"params: checksum={settings['checksum']!r} is not like adler32:29634ba7")
    for name in ("file", "url", "mirror", "cache"):
        settings[name] = None if settings[name] is None else str(settings[name])
    return settings


def whole(name: str, value: Any, *, least: int) -> int:
    """Return a whole number, given as one or as text."""
    if isinstance(value, bool) or not str(value).strip().isdigit() or int(value) < least:
        raise WrongInput(f"params: {name}={value!r} is not a whole number of at least {least}")
    return int(value)


def places(snakemake: Any) -> tuple[Path, Path | None]:
    """Return where the file and the optional JSON go."""
    named = dict(snakemake.output.items())
    if unknown := set(named) - {"file", "summary"}:
        raise WrongInput(f"output: there is no {sorted(unknown)[0]!r}. {near(sorted(unknown)[0], ['file', 'summary'])}")
    unnamed = len(snakemake.output) - len(named)
    if unnamed + ("file" in named) != 1:
        raise WrongInput("output: name one file (and, if wanted, summary=... for a JSON file about it)")
    summary = named.get("summary")
    return Path(str(named.get("file", snakemake.output[0]))), Path(str(summary)) if summary else None


def about(record: Record | None, remote: Remote, url: str, final: Path, checksum: str) -> dict[str, Any]:
    """Describe what was fetched, for the summary."""
    value: dict[str, Any] = {
        "file": remote.name,
        "bytes": final.stat().st_size,
        "checksum": checksum,
        "verified": remote.checksum is not None,
        "uri": remote.uri,
        "url": url,
    }
    if record:
        doi = f" doi:{record.doi}" if record.doi else ""
        value["record"] = {"number": record.number, "title": record.title, "doi": record.doi, "licence": record.licence}
        value["cite"] = f"{record.title}, CERN Open Data Portal, record {record.number}.{doi}"
    return value


def main(snakemake: Any) -> None:
    """Fetch one file."""
    with logged(snakemake):
        settings = checked(snakemake)
        final, summary = places(snakemake)
        record, remote = chosen(settings["file"] or final.name, settings)
        given = {name: settings[name] for name in ("size", "checksum") if settings[name] is not None}
        remote = replace(remote, **given)
        url = settings["url"] or address(remote.uri, settings["mirror"])
        size = f"{remote.size:,} bytes" if remote.size is not None else "size unknown"
        print(
            f"{remote.name}: {size}, {remote.checksum or 'checksum unknown: it will not be verified'}, from {url}",
            flush=True,
        )
        final.parent.mkdir(parents=True, exist_ok=True)
        cache = Path(settings["cache"]).expanduser() if settings["cache"] else None
        checksum = from_cache(cache, remote, final) if cache else None
        if checksum is None:
            checksum = download(url, remote, final, settings)
            print(
                f"{final}: {final.stat().st_size:,} bytes, {checksum}"
                + (", as the record says" if remote.checksum else "")
            )
            if cache and remote.checksum:
                to_cache(cache, remote, final)
        value = about(record, remote, url, final, checksum)
        if "cite" in value:
            print(f"Please cite: {value['cite']}")
        if summary:
            write_json(summary, {**value, "provenance": provenance(snakemake, WRAPPER, [])})


if "snakemake" in globals():
    main(snakemake)
