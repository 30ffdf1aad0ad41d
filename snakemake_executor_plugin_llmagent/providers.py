"""Providers of models, those that the plugin knows and those that a person names in a YAML file.

```yaml
providers:
  cborg:
    speaks: openai
    base_url: https://api.cborg.lbl.gov/v1
    key_variable: CBORG_API_KEY
```

makes `cborg:NAME` a model. A file holds no secret: it names the variable that does.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.money import Price

if TYPE_CHECKING:
    import yaml

OPENAI, ANTHROPIC, REPLAY = "openai", "anthropic", "replay"
BUILT_IN = (OPENAI, ANTHROPIC, REPLAY)
"""Names that have a meaning of their own."""
LANGUAGES = (OPENAI, ANTHROPIC)
"""What a provider may speak: chat completions, or messages."""
PROJECT_FILE = "llmagent.yaml"
"""Beside the Snakefile, or in the working directory."""
PERSONS_FILE = Path("llmagent") / "config.yaml"
"""Below the person's folder of settings."""
NAME = re.compile(r"[a-z][a-z0-9_-]*")

_SETTINGS = ("speaks", "base_url", "key_variable", "context_tokens", "images", "headers", "prices")
_PRICES = ("input", "output", "cached_input")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where models are, and how they are spoken to.

    Attributes:
        name: what stands before the colon in a model's name.
        speaks: one of `LANGUAGES`.
        base_url: its address; empty: what the SDK says.
        key_variable: the environment variable that holds its key; empty if it needs none.
        context_tokens: how much its models read and write at once [tokens], None if unknown.
        images: whether its models read images; None if unknown.
        headers: what every request carries besides.
        prices: what its models cost, by their names.
        place: file and line that name it; empty for those that the plugin knows.
    """

    name: str
    speaks: str
    base_url: str = ""
    key_variable: str = ""
    context_tokens: int | None = None
    images: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    place: str = ""


Providers = Mapping[str, Provider]
"""Name → provider, for those that a person has named."""
Warn = Callable[[str], None]
"""Tells a person what they should know."""


def ignore(text: str) -> None:
    """Tell nobody."""


def places(
    *, chosen: Path | None, workdir: Path, beside: Path | None, environment: Mapping[str, str]
) -> tuple[Path, ...]:
    """The files that name providers, the nearest first; what is not there is left out unless a person chose it.

    Args:
        chosen: the file that a person named; then no other counts.
        workdir: the working directory.
        beside: the folder of the Snakefile.
        environment: tells where the person's settings lie.
    """
    if chosen is not None:
        return (chosen,)
    home = environment.get("HOME", "")
    settings = environment.get("XDG_CONFIG_HOME", "") or (f"{home}/.config" if home else "")
    near = next((file for folder in (workdir, beside) if folder and (file := folder / PROJECT_FILE).is_file()), None)
    own = Path(settings) / PERSONS_FILE if settings.startswith("/") else None
    return tuple(file for file in (near, own) if file is not None and file.is_file())


def read_providers(files: Iterable[Path]) -> dict[str, Provider]:
    """The providers of some files; what an earlier one names counts.

    Raises:
        ConfigError: a file cannot be read, or something in it is wrong; names the line.
    """
    found: dict[str, Provider] = {}
    for file in files:
        found = {**_read(file), **found}
    return found


def exposes(base_url: str) -> bool:
    """Whether others can read what is sent to an address: plain http to another machine."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    if url.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


# --- reading --------------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Provider]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"The file of providers {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"The file of providers {file} is not a text in UTF-8.") from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return {} if root is None else _Reader(file, loader).providers(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{file}{line}: this is not YAML: {problem}.") from None
    finally:
        loader.dispose()


class _Reader:
    """Reads one file, and says in which line something is wrong."""

    def __init__(self, file: Path, loader: yaml.SafeLoader) -> None:
        self._file = file
        self._loader = loader

    def providers(self, root: yaml.Node) -> dict[str, Provider]:
        for key, node in self._entries(root, "the file").items():
            if key != "providers":
                near = self._near(key, ("providers",))
                raise self._wrong(node, f"the file has no entry `{key}`.{near} Its one entry is `providers`.")
            return {name: self._provider(name, entry) for name, entry in self._entries(node, "`providers`").items()}
        return {}

    def _provider(self, name: str, node: yaml.Node) -> Provider:
        if name in (*BUILT_IN, "none"):
            raise self._wrong(node, f"`{name}` has a meaning of its own; give the provider another name.")
        if not NAME.fullmatch(name):
            raise self._wrong(node, f"{name!r} cannot name a provider: small letters, digits, - and _ can.")
        entries = self._entries(node, f"provider `{name}`")
        for key, value in entries.items():
            if key not in _SETTINGS:
                known = f"It may have: {', '.join(_SETTINGS)}."
                raise self._wrong(
                    value, f"provider `{name}` has no setting `{key}`.{self._near(key, _SETTINGS)} {known}"
                )
        for key in ("speaks", "base_url"):
            if key not in entries:
                raise self._wrong(node, f"provider `{name}` lacks `{key}`.")
        taken: dict[str, Any] = {key: getattr(self, f"_{key}")(value) for key, value in entries.items()}
        return Provider(name=name, place=f"{self._file}, line {node.start_mark.line + 1}", **taken)

    # --- settings ---------------------------------------------------------------------------------------------------

    def _speaks(self, node: yaml.Node) -> str:
        value = self._value(node)
        if value not in LANGUAGES:
            raise self._wrong(
                node, f"`speaks` is {' or '.join(LANGUAGES)}, not {value!r}.{self._near(value, LANGUAGES)}"
            )
        return str(value)

    def _base_url(self, node: yaml.Node) -> str:
        value = self._value(node)
        url = _split(value) if isinstance(value, str) else None
        if url is None or url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            # Not shown: it may hold a key.
            raise self._wrong(node, "`base_url` is an address such as http://localhost:11434/v1, without ? and #.")
        if url.username or url.password:
            raise self._wrong(node, "`base_url` holds a name or a password; a key belongs into `key_variable`.")
        return str(value)

    def _key_variable(self, node: yaml.Node) -> str:
        value = self._value(node)
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            # Not shown: who takes the setting for the key itself has written a key here.
            raise self._wrong(node, "`key_variable` is the name of an environment variable, such as CBORG_API_KEY.")
        if not _NAMES_SECRET.search(value):
            # Jobs run without that variable, so it must not be PATH.
            raise self._wrong(node, "`key_variable` names a variable with KEY, TOKEN or SECRET in its name.")
        return value

    def _context_tokens(self, node: yaml.Node) -> int:
        value = self._value(node)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1000:
            raise self._wrong(node, f"`context_tokens` is a number of tokens of at least 1000, not {_shown(value)}.")
        return value

    def _images(self, node: yaml.Node) -> bool:
        value = self._value(node)
        if not isinstance(value, bool):
            raise self._wrong(node, f"`images` is true or false, not {_shown(value)}.")
        return value

    def _headers(self, node: yaml.Node) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, entry in self._entries(node, "`headers`").items():
            value = self._value(entry)
            if _SECRET_HEADER.search(name):
                raise self._wrong(entry, f"the header `{name}` would hold a key; name its variable as `key_variable`.")
            text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
            if not _HEADER.fullmatch(name) or not text.strip() or not (text.isascii() and text.isprintable()):
                raise self._wrong(entry, f"the header `{name}` has to be a name and a text of plain characters.")
            found[name] = text
        return found

    def _prices(self, node: yaml.Node) -> dict[str, Price]:
        return {model: self._price(model, entry) for model, entry in self._entries(node, "`prices`").items()}

    def _price(self, model: str, node: yaml.Node) -> Price:
        entries = self._entries(node, f"the price of `{model}`")
        for key, entry in entries.items():
            if key not in _PRICES:
                near = self._near(key, _PRICES)
                raise self._wrong(entry, f"the price of `{model}` has no `{key}`.{near} It has: {', '.join(_PRICES)}.")
        values = {key: self._value(entry) for key, entry in entries.items()}
        for key, value in values.items():
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
            if not good:
                what = f"`{key}` of `{model}` is in dollars per million tokens, not {_shown(value)}."
                raise self._wrong(entries[key], what)
        if missing := [key for key in ("input", "output") if key not in values]:
            raise self._wrong(node, f"the price of `{model}` lacks `{missing[0]}`.")
        amounts = {key: Decimal(str(value)) for key, value in values.items()}
        return Price(
            input=amounts["input"], output=amounts["output"], cached_input=amounts.get("cached_input"),
            source=f"{self._file}, line {node.start_mark.line + 1}",
        )  # fmt: skip

    # --- nodes ------------------------------------------------------------------------------------------------------

    def _entries(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            if isinstance(node, yaml.ScalarNode) and self._value(node) is None:
                return {}
            raise self._wrong(node, f"{what} has to be a mapping, `name: value` in each line.")
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := next((key for key in own if own.count(key) > 1), None):
            raise self._wrong(node, f"{what} has `{twice}` twice.")
        self._loader.flatten_mapping(node)
        for key, value in node.value:
            value.start_mark = key.start_mark  # what is wrong with a whole entry is said of the line of its name
        return {str(key.value): value for key, value in node.value}

    def _value(self, node: yaml.Node) -> Any:
        return self._loader.construct_object(node, deep=True)

    def _near(self, value: object, known: Iterable[str]) -> str:
        near = difflib.get_close_matches(str(value), list(known), n=1)
        return f" Did you mean `{near[0]}`?" if near else ""

    def _wrong(self, node: yaml.Node, text: str) -> ConfigError:
        return ConfigError(f"{self._file}, line {node.start_mark.line + 1}: {text}")


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        _ = url.port  # looks at it
    except ValueError:
        return None
    return url


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} …"
