"""Providers that a person has named, spoken to by the real SDKs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError, ModelUnavailable
from snakemake_executor_plugin_llmagent.keys import Keys
from snakemake_executor_plugin_llmagent.llm import NOBODYS, open_model
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Picture, Request
from snakemake_executor_plugin_llmagent.providers import Provider, Providers, ignore, read_providers
from tests.loopback import CANARY, ScriptedModel, garbage, status
from tests.unit.llm.support import ONCE, PROVIDERS, request

DOCS = Path(__file__).parents[3] / "docs/models.md"
FOREIGN = "sk-foreign-0123456789"
"""A secret for another provider: it must not reach this one."""
FOREIGN_SETTINGS = {
    "OPENAI_API_KEY": FOREIGN,
    "OPENAI_ADMIN_KEY": FOREIGN,
    "OPENAI_ORG_ID": FOREIGN,
    "OPENAI_PROJECT_ID": FOREIGN,
    "OPENAI_CUSTOM_HEADERS": f"X-Foreign: {FOREIGN}",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/foreign",
    "ANTHROPIC_API_KEY": FOREIGN,
    "ANTHROPIC_AUTH_TOKEN": FOREIGN,
    "ANTHROPIC_CUSTOM_HEADERS": f"X-Foreign: {FOREIGN}",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/foreign",
}


def entries() -> dict[str, Provider]:
    """The entries of the documentation."""
    text = re.search(r"<!-- providers -->\n```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert text is not None
    path = DOCS.with_name("llmagent.yaml")
    return {name: replace(one, place=str(path)) for name, one in _parsed(text[1]).items()}


def _parsed(text: str) -> Mapping[str, Provider]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llmagent.yaml"
        path.write_text(text)
        return read_providers([path])


def here(provider: Provider, server: ScriptedModel) -> Provider:
    """A provider at a server of ours: only the host of its address is another."""
    return replace(provider, base_url=f"{server.url}{urlsplit(provider.base_url).path}")


def ask(provider: Provider, keys: Keys, asked: Request | None = None) -> Completion:
    model = open_model(f"{provider.name}:some/model:7b", keys=keys, settings=ONCE, providers={provider.name: provider})
    with closing(model):  # type: ignore[type-var]  # (both kinds can be closed)
        assert model.name == f"{provider.name}:some/model:7b"
        return model.complete(asked or request())


@pytest.mark.parametrize("provider", entries().values(), ids=lambda provider: provider.name)
def test_the_documented_entries(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOREIGN_SETTINGS.items():
        monkeypatch.setenv(name, value)
    keys = Keys(values={**FOREIGN_SETTINGS, provider.key_variable: CANARY} if provider.key_variable else {})
    with ScriptedModel(["hello"], reported="model-2026-01-01") as server:
        reply = ask(here(provider, server), keys)
        [asked] = server.requests
    assert (reply.text, reply.model) == ("hello", "model-2026-01-01")
    ends = "/v1/messages" if provider.speaks == "anthropic" else "/chat/completions"
    assert asked.path == f"{urlsplit(provider.base_url).path}{ends}"
    assert asked.model == "some/model:7b"
    sent = asked.headers.get("authorization", ""), asked.headers.get("x-api-key", "")
    if not provider.key_variable:
        assert all(CANARY not in value for value in sent)
    else:
        assert sent in ((f"Bearer {CANARY}", ""), ("", CANARY))
    assert FOREIGN not in str(asked)


def test_the_documentation_has_the_usual_ones() -> None:
    assert set(entries()) >= {"ollama", "vllm", "litellm", "azure", "gemini", "cborg", "gateway"}
    assert {provider.speaks for provider in entries().values()} == {"openai", "anthropic"}


@pytest.fixture(params=PROVIDERS)
def named(request: pytest.FixtureRequest) -> Provider:
    return Provider(
        name="lab",
        speaks=request.param,
        base_url="http://lab/v1",
        key_variable="LAB_API_KEY",
        place="/x/llmagent.yaml, line 2",
    )


KEYS = Keys(values={"LAB_API_KEY": CANARY})


def test_headers_are_sent(named: Provider) -> None:
    with ScriptedModel(["hello"]) as server:
        ask(replace(here(named, server), headers={"X-Project": "atlas"}), KEYS)
        assert server.requests[0].headers["x-project"] == "atlas"


def test_a_token_is_a_bearer_and_a_key_goes_as_the_sdk_sends_its_own() -> None:
    named = Provider(name="lab", speaks="anthropic", base_url="http://lab")
    with ScriptedModel(["hello"] * 2) as server:
        for variable in ("LAB_API_KEY", "LAB_AUTH_TOKEN"):
            ask(replace(here(named, server), key_variable=variable), Keys(values={variable: CANARY}))
        key, token = (asked.headers for asked in server.requests)
    assert (key.get("x-api-key"), key.get("authorization")) in ((CANARY, None), (None, f"Bearer {CANARY}"))
    assert (token.get("x-api-key"), token["authorization"]) == (None, f"Bearer {CANARY}")


def test_a_missing_key_is_named(named: Provider) -> None:
    with pytest.raises(ConfigError, match=r"lab:m needs a key. Set LAB_API_KEY in the environment"):
        open_model("lab:m", keys=Keys(values={"OPENAI_API_KEY": FOREIGN}), settings=ONCE, providers={"lab": named})


def test_a_reply_fits_into_what_the_model_takes(named: Provider) -> None:
    with ScriptedModel(["hello"] * 2) as server:
        for size in (2000, 2_000_000):
            ask(replace(here(named, server), context_tokens=size), KEYS)
        limits = [asked.body.get("max_completion_tokens") or asked.body["max_tokens"] for asked in server.requests]
    assert limits == [500, 1000]


@pytest.mark.parametrize(("images", "sent"), [(None, True), (True, True), (False, False)])
def test_who_reads_no_images_is_sent_none(named: Provider, images: bool | None, sent: bool) -> None:
    picture = Picture(name="plot.png", media_type="image/png", data=b"\x89PNG")
    asked = Request(role="supervisor", messages=(Message(role="user", content="?", pictures=(picture,)),), max_tokens=9)
    with ScriptedModel(["hello"]) as server:
        ask(replace(here(named, server), images=images), KEYS, asked)
        assert ("image" in str(server.requests[0].body)) is sent


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(401), "Check the key in LAB_API_KEY"),
        (status(404), "Check the model's name and `base_url` of lab (/x/llmagent.yaml, line 2)."),
        (garbage(), "`base_url` of lab (/x/llmagent.yaml, line 2)"),
    ],
)
def test_what_goes_wrong_is_said_of_the_entry(named: Provider, reply: object, said: str) -> None:
    with ScriptedModel([reply]) as server, pytest.raises(ModelUnavailable) as caught:  # type: ignore[list-item]
        ask(here(named, server), KEYS)
    assert said in str(caught.value)
    assert "_BASE_URL" not in str(caught.value) and CANARY not in str(caught.value)


def test_who_asks_for_a_key_that_nobody_named() -> None:
    named = Provider(name="lab", speaks="openai", base_url="http://lab/v1", place="x.yaml, line 2")
    with ScriptedModel([status(401)]) as server, pytest.raises(ModelUnavailable, match="as `key_variable`, beside"):
        ask(here(named, server), Keys())


@pytest.mark.parametrize("name", ["lap:m", "Lab:m"])
def test_a_near_name_of_the_persons(named: Provider, name: str) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'lab:m'") as caught:
        open_model(name, keys=KEYS, settings=ONCE, providers={"lab": named})
    assert "Providers of yours: lab." in str(caught.value)


def test_without_a_file_it_is_said_where_to_name_providers() -> None:
    with pytest.raises(ConfigError, match=r"You can name providers of your own in llmagent\.yaml"):
        open_model("lab:m", keys=KEYS, settings=ONCE)


def warnings(name: str, providers: Providers, keys: Keys) -> list[str]:
    said: list[str] = []
    closing(open_model(name, keys=keys, settings=ONCE, providers=providers, warn=said.append))  # type: ignore[type-var]
    return said


def test_a_key_over_plain_http_is_warned_of(named: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    [said] = warnings("lab:m", {"lab": named}, KEYS)
    assert "The key in LAB_API_KEY" in said and "http://lab/v1" in said and "/x/llmagent.yaml, line 2" in said
    assert CANARY not in said
    for quiet in ("https://lab/v1", "http://localhost:1/v1"):
        assert warnings("lab:m", {"lab": replace(named, base_url=quiet)}, KEYS) == []
    assert warnings("lab:m", {"lab": replace(named, key_variable="")}, Keys()) == []
    monkeypatch.setenv(f"{named.speaks.upper()}_BASE_URL", "http://gpu17/v1")
    variable = f"{named.speaks.upper()}_API_KEY"
    [own] = warnings(f"{named.speaks}:m", NOBODYS, Keys(values={variable: CANARY}))
    assert f"The key in {variable}" in own and f"{named.speaks.upper()}_BASE_URL" in own
    ignore(own)
