"""What scripts and models are not shown of a workflow's values: entries named like secrets, and known secrets.

Snakemake hands every script the whole config and all params of its rule. A script of a model needs no password for
what it does, so it finds a mark in its place.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from itertools import pairwise
from typing import Any

from snakemake_executor_plugin_llmagent.config import WITHHELD, read_keys

_WORDS = frozenset(
    {
        "password", "passwords", "passwd", "pwd", "passphrase", "passphrases", "passcode", "secret", "secrets",
        "credential", "credentials", "apikey", "apikeys", "accesskey", "privatekey", "secretkey", "authtoken",
        "accesstoken", "authorization", "bearer",
    }
)  # fmt: skip
_KEYS = frozenset(
    {"api", "access", "private", "secret", "encryption", "signing", "auth", "ssh", "account", "deploy", "license"}
)
"""What stands before `key` or `keys` where that is no ordinary key."""
_BEFORE_PIECE = frozenset({"max", "min", "n", "num", "number", "per", "bos", "cls", "eos", "mask", "pad", "sep", "unk"})
_AFTER_PIECE = frozenset({"budget", "count", "counts", "id", "ids", "index", "length", "limit", "size", "type"})
"""What stands before and after `token` where that is a piece of text."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHORTEST, _SHORTEST_WITHIN = 6, 8
"""From which length a known secret is looked for as a whole value, and inside of one; `EMPTY`, `4` are no secrets."""
_KEPT_BY_WORKFLOW = "_llmagent_keys"

Secrets = Set[str]


@lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """Whether something of this name is a secret: `api_key`, `dbPassword`, `GITHUB-TOKEN`, but not `max_tokens`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not _WORDS.isdisjoint(words) or "".join(words) in _WORDS:
        return True
    if any(first in _KEYS and second in ("key", "keys") for first, second in pairwise(words)):
        return True
    if "token" not in words:
        return False
    place = words.index("token")
    return _BEFORE_PIECE.isdisjoint(words[:place]) and _AFTER_PIECE.isdisjoint(words[place + 1 :])


# --- known secrets --------------------------------------------------------------------------------------------------


def note_secrets(workflow: Any, more: Iterable[str] = ()) -> None:
    """Note the providers' keys while they are still in the environment, and more of them; jobs run without them."""
    kept = workflow.__dict__.setdefault(_KEPT_BY_WORKFLOW, set())
    kept.update((*read_keys(os.environ).values.values(), *more))


def secrets_of(workflow: Any) -> frozenset[str]:
    """Values that a workflow holds and no script of a model may see: provider keys, and what `envvars:` declares."""
    return known_secrets(os.environ, workflow.envvars, workflow.__dict__.get(_KEPT_BY_WORKFLOW, ()))


def known_secrets(environment: Mapping[str, str], declared: Iterable[str], more: Iterable[str] = ()) -> frozenset[str]:
    """The secrets among the variables of an environment.

    Args:
        environment: name → value.
        declared: names that the workflow declares with `envvars:`. Of those that are not named like a secret, paths and
            numbers do not count: workflows declare `HOME` and `OMP_NUM_THREADS` too.
        more: secrets that are known already.
    """
    found = {*more, *read_keys(environment).values.values()}
    for name in declared:
        value = environment.get(name, "").strip()
        if names_secret(name) or not _is_place_or_number(value):
            found.add(value)
    return frozenset(value for value in found if len(value) >= _SHORTEST)


def _is_place_or_number(value: str) -> bool:
    if value.startswith(("/", "~", "./", "../")):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


# --- values ---------------------------------------------------------------------------------------------------------


def without_secrets(value: Any, secrets: Secrets = frozenset()) -> Any:
    """A copy of a config, or of another value, with a mark in the place of secrets.

    Containers (mappings, lists, tuples, sets) are copied at any depth and keep their types; what they hold otherwise is
    shared with the original, which stays as it is.

    Args:
        value: anything that can be in a config.
        secrets: texts that are withheld wherever they occur.
    """
    return _Copy(secrets).of(value)


def params_without_secrets(params: Any, secrets: Secrets = frozenset()) -> Any:
    """A copy of a rule's params (`snakemake.iocontainers.Params`) with a mark in the place of secrets."""
    plain = type(params)()
    copied = _Copy(secrets)
    for name, value in params._allitems():
        plain.append(copied.entry(name, value))
        if name is not None:
            plain._add_name(name)
    return plain


_CONTAINERS = (dict, list, tuple, set, frozenset)


class _Copy:
    """One copy of values that may refer to each other."""

    def __init__(self, secrets: Secrets) -> None:
        within = [secret for secret in secrets if len(secret) >= _SHORTEST_WITHIN]
        self._whole = frozenset(secrets)
        # One pattern for all of them, because configs can be long.
        escaped = [re.escape(secret) for secret in within]
        self._within = re.compile("|".join(escaped)) if escaped else None
        coded = [re.escape(secret.encode("utf-8", "surrogatepass")) for secret in within]
        self._within_bytes = re.compile(b"|".join(coded)) if coded else None
        self._made: dict[int, Any] = {}

    def entry(self, name: object, value: Any) -> Any:
        """The copy of what stands under a name."""
        if isinstance(name, str) and names_secret(name) and not _says_nothing(value):
            return WITHHELD
        return self.of(value)

    def of(self, value: Any) -> Any:
        """The copy of a value."""
        if isinstance(value, str):
            return WITHHELD if self._whole and self._is_secret(value) else value
        if isinstance(value, _CONTAINERS):
            return self._container(value)
        if not self._whole:
            return value
        if isinstance(value, (bytes, bytearray)):
            found = self._within_bytes is not None and self._within_bytes.search(value)
            return type(value)(WITHHELD.encode()) if found else value
        if isinstance(value, os.PathLike):
            return WITHHELD if self._is_secret(str(value)) else value
        return value

    def _is_secret(self, text: str) -> bool:
        return text in self._whole or (self._within is not None and self._within.search(text) is not None)

    def _container(self, value: Any) -> Any:
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, (tuple, set, frozenset)):
            members = [self.of(member) for member in value]
            return value._make(members) if hasattr(value, "_make") else type(value)(members)
        # Copied before it is filled, so that what contains itself finds its copy.
        made = self._made[id(value)] = copy.copy(value)
        if isinstance(value, dict):
            made.clear()
            for name, member in value.items():
                made[self.of(name)] = self.entry(name, member)
        else:
            made[:] = [self.of(member) for member in value]
        return made


def _says_nothing(value: object) -> bool:
    """Whether something named like a secret holds none: scripts may ask whether there is one."""
    return value is None or isinstance(value, bool) or (isinstance(value, str) and not value)
