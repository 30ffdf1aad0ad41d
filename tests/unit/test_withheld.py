"""Secrets in configs and params; what a script really gets is tested with real Snakemake."""

from __future__ import annotations

import copy
import pickle
import time
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.iocontainers import Params

from snakemake_executor_plugin_llmagent.config import WITHHELD
from snakemake_executor_plugin_llmagent.host.withheld import (
    known_secrets,
    names_secret,
    note_secrets,
    params_without_secrets,
    secrets_of,
    without_secrets,
)

CANARY = "canary-0123456789"
SECRETS = frozenset({CANARY, "hunter2"})
Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apikey", "apiKey", "APIKEY", "APIKey", "ApiKey", "api-key", "api.key", "OPENAI_API_KEY", "api_keys",
        "token", "TOKEN", "github_token", "githubToken", "access-token", "id_token", "token2", "authtoken",
        "password", "passwd", "db_password", "dbPassword", "PASSWORD_FILE", "passwords", "pwd", "passphrase",
        "secret", "secrets", "client_secret", "clientSecret", "secret key", "credential", "credentials",
        "private_key", "privateKey", "private-key", "access_key", "AWS_ACCESS_KEY_ID", "ssh_key", "x-api-key",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokens", "max_tokens", "maxTokens", "max_token", "n_tokens", "token_count", "token_limit", "tokenizer",
        "tokenize", "eos_token", "pad_token_id", "context_tokens", "keyword", "keywords", "monkey", "monkey_business",
        "secretary", "key", "keys", "sort_key", "primary_key", "tree_key", "turkey", "passed", "pass",
        "compass", "author", "authors", "access", "api", "private", "public_key_figures", "bypass", "", "_", "é",
        "m_yy", "pT", "nJets", "lumi",
    ],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not names_secret(name)


def test_entries_are_withheld_by_name_at_any_depth() -> None:
    config = {
        "lumi": 139.0,
        "api_key": CANARY,
        "token": 12345,
        "samples": [{"name": "ggH", "auth": {"clientSecret": "x", "user": "me"}}, ("a", {"PASSWORD": b"x"})],
        "credentials": {"user": "me", "pin": [1, 2]},
        "max_tokens": 100,
        "password": None,
        "secret": False,
        "passwd": "",
        3: "three",
    }
    before = copy.deepcopy(config)
    assert without_secrets(config) == {
        "lumi": 139.0,
        "api_key": WITHHELD,
        "token": WITHHELD,
        "samples": [
            {"name": "ggH", "auth": {"clientSecret": WITHHELD, "user": "me"}}, ("a", {"PASSWORD": WITHHELD}),
        ],
        "credentials": WITHHELD,
        "max_tokens": 100,
        "password": None,
        "secret": False,
        "passwd": "",
        3: "three",
    }  # fmt: skip
    assert config == before


def test_known_secrets_are_withheld_wherever_they_occur() -> None:
    config = {
        "a": CANARY,
        "url": f"https://me:{CANARY}@host/path",
        "short": "hunter2",
        "within": "not hunter2 alone",  # too short to be looked for inside of other words
        "bytes": f"x {CANARY}".encode(),
        "path": Path("/data") / CANARY,
        CANARY: 1,
        "set": {CANARY, "b"},
        "tuple": Point(CANARY, 2),
    }
    assert without_secrets(config, SECRETS) == {
        "a": WITHHELD,
        "url": WITHHELD,
        "short": WITHHELD,
        "within": "not hunter2 alone",
        "bytes": WITHHELD.encode(),
        "path": WITHHELD,
        WITHHELD: 1,
        "set": {WITHHELD, "b"},
        "tuple": Point(WITHHELD, 2),
    }


def test_containers_keep_their_types() -> None:
    class Listed(list[Any]):
        pass

    counts: defaultdict[str, list[int]] = defaultdict(list, {"a": [1]})
    config = {
        "ordered": OrderedDict(b=1, a=OrderedDict(token="x")), "default": counts, "listed": Listed([1]),
        "frozen": frozenset({1}), "point": Point(1, [2]),
    }  # fmt: skip
    found = without_secrets(config)
    assert [type(found[name]) for name in config] == [OrderedDict, defaultdict, Listed, frozenset, Point]
    assert list(found["ordered"]) == ["b", "a"] and found["ordered"]["a"] == OrderedDict(token=WITHHELD)
    assert found["default"]["new"] == [] and "new" not in counts
    found["default"]["a"].append(2)
    found["point"].y.append(3)
    assert counts["a"] == [1] and config["point"] == Point(1, [2])
    assert pickle.loads(pickle.dumps(found["ordered"])) == found["ordered"]


def test_cycles_and_shared_values_stay_what_they_are() -> None:
    config: dict[str, Any] = {"token": "x", "list": [1]}
    config["me"] = config
    config["list"].append(config)
    config["pair"] = (config["list"], 1)
    config["same"] = config["list"]
    found = without_secrets(config)
    assert found["me"] is found and found["list"][1] is found and found is not config
    assert found["same"] is found["list"] is found["pair"][0]
    assert found["me"]["me"]["token"] == WITHHELD and config["token"] == "x"


def test_a_value_that_is_also_named_elsewhere_is_shown_there() -> None:
    """YAML's anchors make one object of both."""
    shared = {"user": "me"}
    assert without_secrets({"credentials": shared, "plain": shared}) == {"credentials": WITHHELD, "plain": shared}


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
WITH_CANARY = st.tuples(st.text(max_size=5), st.text(max_size=5)).map(lambda ends: CANARY.join(ends))
NAMES = st.one_of(st.text(max_size=8), st.sampled_from(["a", "b_c", "token", "apiKey", "max_tokens", "password"]))


def configs(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4), st.tuples(inner, inner),
            st.dictionaries(NAMES, inner, max_size=3).map(OrderedDict),
        ),
        max_leaves=12,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(configs(st.one_of(LEAVES, WITH_CANARY)))
def test_no_known_secret_survives_and_nothing_is_changed(config: Any) -> None:
    before = copy.deepcopy(config)
    found = without_secrets(config, SECRETS)
    assert config == before
    assert CANARY not in repr(found) and CANARY.encode() not in pickle.dumps(found, protocol=4)
    assert type(found) is type(config) or CANARY in repr(config)
    assert without_secrets(found, SECRETS) == found


@settings(max_examples=150, deadline=None)
@given(configs(LEAVES))
def test_what_is_no_secret_stays(config: Any) -> None:
    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: stripped(member) for name, member in value.items() if not names_secret(name)}
        return [stripped(member) for member in value] if isinstance(value, list | tuple) else value

    assert stripped(without_secrets(config)) == stripped(config)


def test_long_configs_take_no_time() -> None:
    config = {f"sample_{i}": {f"entry_{j}": f"value {i} {j}" for j in range(100)} for i in range(1000)}
    started = time.process_time()
    without_secrets(config, {f"secret-number-{i}" for i in range(20)})
    assert time.process_time() - started < 2


# --- params ---------------------------------------------------------------------------------------------------------


def some_params() -> Params:
    params = Params()
    for name, value in [(None, CANARY), (None, "plain"), ("token", "x"), ("cuts", {"pt": 25, "password": "y"})]:
        params.append(value)
        if name is not None:
            params._add_name(name)
    params.append("a")
    params._add_name("index")
    return params


def test_params_by_position_and_name() -> None:
    params = some_params()
    found = params_without_secrets(params, SECRETS)
    assert type(found) is Params
    assert list(found) == [WITHHELD, "plain", WITHHELD, {"pt": 25, "password": WITHHELD}, "a"]
    assert (found.token, found.cuts, found.index) == (WITHHELD, {"pt": 25, "password": WITHHELD}, "a")
    assert list(found._allitems()) == [
        (None, WITHHELD), (None, "plain"), ("token", WITHHELD), ("cuts", {"pt": 25, "password": WITHHELD}),
        ("index", "a"),
    ]  # fmt: skip
    assert list(params) == list(some_params()) and params.token == "x"
    assert list(params_without_secrets(found, SECRETS)) == list(found)
    assert list(params_without_secrets(Params())) == []


def test_a_table_in_params_stays_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    params = Params(fromdict={"table": pandas.DataFrame({"x": [1]})})
    assert params_without_secrets(params, SECRETS).table is params.table


# --- known secrets --------------------------------------------------------------------------------------------------


def test_what_counts_as_a_secret_of_the_environment() -> None:
    environment = {
        "OPENAI_API_KEY": f" {CANARY}\n", "ANTHROPIC_API_KEY": "EMPTY", "GRID_PASSWORD": "/slash/in/it",
        "OTHER": "not declared", "HOME": "/home/me", "OMP_NUM_THREADS": "16", "VOMS": "an opaque text", "NONE": "",
        "PIN": "1234567",
    }  # fmt: skip
    declared = ["GRID_PASSWORD", "PIN", "HOME", "OMP_NUM_THREADS", "VOMS", "NONE", "MISSING"]
    assert known_secrets(environment, declared, ["more-of-them", "x"]) == {
        CANARY, "/slash/in/it", "an opaque text", "more-of-them",
    }  # fmt: skip


def test_keys_are_known_after_they_left_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = SimpleNamespace(envvars={"VOMS"})
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("VOMS", "an opaque text")
    note_secrets(workflow)
    monkeypatch.delenv("OPENAI_API_KEY")
    note_secrets(workflow, ["from-a-key-file"])
    assert {CANARY, "an opaque text", "from-a-key-file"} <= secrets_of(workflow)
    assert secrets_of(SimpleNamespace(envvars=())).isdisjoint({CANARY})
