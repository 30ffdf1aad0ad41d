from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.llm import FORMS, CallSettings, open_model, split_name
from tests.unit.llm.support import PROVIDERS

KEYS = Keys(values={"OPENAI_API_KEY": "sk-abcdefgh", "ANTHROPIC_API_KEY": "sk-ijklmnop"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai:gpt-5", ("openai", "gpt-5")),
        ("openai:qwen3:32b", ("openai", "qwen3:32b")),
        ("openai:meta-llama/Llama-3:free", ("openai", "meta-llama/Llama-3:free")),
        ("anthropic:claude-opus-4", ("anthropic", "claude-opus-4")),
        ("replay:tests/recordings/fit", ("replay", "tests/recordings/fit")),
    ],
)
def test_names_are_split_at_the_first_colon(name: str, expected: tuple[str, str]) -> None:
    assert split_name(name) == expected


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("opneai:gpt-5", "openai:gpt-5"),
        ("Anthropic:claude", "anthropic:claude"),
        ("reply:dir", "replay:dir"),
        ("gpt-5", "openai:gpt-5"),
        ("qwen3:32b", "openai:qwen3:32b"),
        ("claude-opus-4", "anthropic:claude-opus-4"),
        ("openai", "openai:NAME"),
        ("openai:", "openai:NAME"),
        ("replay: ", "replay:DIR"),
        (":gpt-5", "openai:gpt-5"),
        ("", "openai:NAME"),
    ],
)
def test_other_names_are_refused_with_a_near_one_and_the_forms(name: str, near: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_model(name, keys=KEYS, settings=CallSettings())
    assert f"Did you mean {near!r}?" in str(caught.value)
    assert all(form in str(caught.value) for form in FORMS)


@pytest.mark.parametrize("name", ["openai:qwen3:32b", "anthropic:claude-opus-4"])
def test_a_model_keeps_the_name_it_was_given(name: str) -> None:
    assert open_model(name, keys=KEYS, settings=CallSettings()).name == name


@pytest.mark.parametrize(
    ("name", "variables"),
    [("openai:gpt-5", ["OPENAI_API_KEY"]), ("anthropic:claude", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])],
)
def test_a_missing_key_is_named(name: str, variables: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        open_model(name, keys=Keys(values={"OPENAI_API_KEY": " \n"}), settings=CallSettings())
    assert all(variable in str(caught.value) for variable in variables)
    assert "--llmagent-key-file" in str(caught.value)


@pytest.mark.parametrize("host", ["eu.api.openai.com", "api.openai.com"])
def test_hosts_of_openai_need_a_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://{host}/v1")
    with pytest.raises(ConfigError, match="needs a key"):
        open_model("openai:gpt-5", keys=Keys(), settings=CallSettings())


@pytest.mark.parametrize("key", ["sk-secret\nsecret", "sk-“secret”", "sk-\x00secret"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        open_model("openai:gpt-5", keys=Keys(values={"OPENAI_API_KEY": key}), settings=CallSettings())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("address", ["localhost:11434/v1", "", "http://host:port/v1", "http://"])
def test_an_impossible_address_is_a_configuration_error(
    provider: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", address)
    with pytest.raises(ConfigError, match=f"{provider.upper()}_BASE_URL"):
        open_model(f"{provider}:m", keys=KEYS, settings=CallSettings())


def test_recordings_are_opened_without_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recordings"):
        open_model(f"replay:{tmp_path}", keys=Keys(), settings=CallSettings())


def test_sdks_are_imported_only_when_chosen() -> None:
    code = (
        "import sys, snakemake_executor_plugin_llmagent.llm as llm;"
        "import snakemake_executor_plugin_llmagent.llm.openai, snakemake_executor_plugin_llmagent.llm.anthropic;"
        "sys.exit('openai' in sys.modules or 'anthropic' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
