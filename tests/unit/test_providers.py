"""Files that name providers of the person's own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.money import Price
from snakemake_executor_plugin_llmagent.providers import Provider, exposes, places, read_providers

SECRET = "sk-0123456789abcdef"
WHOLE = """
providers:
  cborg:
    speaks: openai
    base_url: https://api.cborg.lbl.gov/v1
    key_variable: CBORG_API_KEY
    context_tokens: 200_000
    images: true
    headers: {X-Project: atlas, X-Number: 7}
    prices:
      claude-sonnet: {input: 3, output: 15, cached_input: 0.3}
      free: {input: 0, output: 0}
  ollama:
    speaks: openai
    base_url: http://localhost:11434/v1
"""


def file_of(folder: Path, text: str, name: str = "llmagent.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, WHOLE)
    assert read_providers([path]) == {
        "cborg": Provider(
            name="cborg",
            speaks="openai",
            base_url="https://api.cborg.lbl.gov/v1",
            key_variable="CBORG_API_KEY",
            context_tokens=200_000,
            images=True,
            headers={"X-Project": "atlas", "X-Number": "7"},
            prices={
                "claude-sonnet": Price(
                    input=Decimal(3), output=Decimal(15), cached_input=Decimal("0.3"), source=f"{path}, line 11"
                ),
                "free": Price(input=Decimal(0), output=Decimal(0), source=f"{path}, line 12"),
            },
            place=f"{path}, line 3",
        ),
        "ollama": Provider(
            name="ollama", speaks="openai", base_url="http://localhost:11434/v1", place=f"{path}, line 13"
        ),
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "providers:\n", "providers: {}\n"])
def test_a_file_may_name_nobody(tmp_path: Path, text: str) -> None:
    assert read_providers([file_of(tmp_path, text)]) == {}


def test_what_an_earlier_file_names_counts(tmp_path: Path) -> None:
    near = file_of(tmp_path, "providers: {a: {speaks: openai, base_url: http://near/v1}}", "near.yaml")
    far = file_of(
        tmp_path,
        "providers: {a: {speaks: openai, base_url: http://far/v1}, b: {speaks: anthropic, base_url: http://far}}",
        "far.yaml",
    )
    found = read_providers([near, far])
    assert {name: provider.base_url for name, provider in found.items()} == {"a": "http://near/v1", "b": "http://far"}


def test_what_providers_have_in_common_may_be_written_once(tmp_path: Path) -> None:
    text = """
providers:
  one: &common
    speaks: openai
    base_url: https://lab/one/v1
    key_variable: LAB_KEY
  two:
    <<: *common
    base_url: https://lab/two/v1
"""
    found = read_providers([file_of(tmp_path, text)])
    assert [(one.base_url, one.key_variable) for one in found.values()] == [
        ("https://lab/one/v1", "LAB_KEY"),
        ("https://lab/two/v1", "LAB_KEY"),
    ]


def entry(more: str = "", name: str = "lab") -> str:
    return f"providers:\n  {name}:\n    speaks: openai\n    base_url: https://lab/v1\n{more}"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("provider:\n  a: 1\n", 1, "the file has no entry `provider`. Did you mean `providers`?"),
        ("providers: [a]\n", 1, "`providers` has to be a mapping"),
        ("- a\n", 1, "the file has to be a mapping"),
        ("providers:\n  lab: openai\n", 2, "provider `lab` has to be a mapping"),
        (entry(name="openai"), 2, "`openai` has a meaning of its own; give the provider another name."),
        (entry(name="anthropic"), 2, "`anthropic` has a meaning of its own"),
        (entry(name="replay"), 2, "`replay` has a meaning of its own"),
        (entry(name="none"), 2, "`none` has a meaning of its own"),
        (entry(name="Lab"), 2, "'Lab' cannot name a provider: small letters, digits, - and _ can."),
        (entry(name='"a:b"'), 2, "'a:b' cannot name a provider"),
        (entry("    base_ur: x\n"), 5, "provider `lab` has no setting `base_ur`. Did you mean `base_url`? It may have"),
        (entry("    api_key: x\n"), 5, "provider `lab` has no setting `api_key`."),
        (entry("    base_url: https://b/v1\n"), 2, "provider `lab` has `base_url` twice."),
        ("providers:\n  lab:\n    speaks: openai\n", 2, "provider `lab` lacks `base_url`."),
        ("providers:\n  lab:\n", 2, "provider `lab` lacks `speaks`."),
        (
            "providers:\n  lab: {speaks: opnai, base_url: http://a/v1}\n",
            2,
            "`speaks` is openai or anthropic, not 'opnai'. Did",
        ),
        (entry("    key_variable: 7\n"), 5, "`key_variable` is the name of an environment variable"),
        (entry(f"    key_variable: {SECRET}\n"), 5, "`key_variable` is the name of an environment variable"),
        (
            entry("    key_variable: PATH\n"),
            5,
            "`key_variable` names a variable with KEY, TOKEN or SECRET",
        ),
        (entry("    context_tokens: 999\n"), 5, "`context_tokens` is a number of tokens of at least 1000, not 999."),
        (entry("    context_tokens: 128k\n"), 5, "not '128k'."),
        (entry("    context_tokens: true\n"), 5, "not True."),
        (entry("    images: maybe\n"), 5, "`images` is true or false, not 'maybe'."),
        (entry("    headers: [a]\n"), 5, "`headers` has to be a mapping"),
        (
            entry(f"    headers:\n      X: a\n      Authorization: Bearer {SECRET}\n"),
            7,
            "the header `Authorization`",
        ),
        (entry(f"    headers: {{x-api-key: {SECRET}}}\n"), 5, "the header `x-api-key` would hold a key"),
        (entry('    headers: {X: "a\\r\\nb"}\n'), 5, "the header `X` has to be a name and a text of plain characters."),
        (entry("    headers: {X: ''}\n"), 5, "the header `X` has to be"),
        (entry("    headers: {'a b': c}\n"), 5, "the header `a b` has to be"),
        (entry("    prices:\n      m: {input: 1}\n"), 6, "the price of `m` lacks `output`."),
        (entry("    prices:\n      m: {input: 1, outputs: 1}\n"), 6, "has no `outputs`. Did you mean `output`?"),
        (entry("    prices: {m: {input: -1, output: 1}}\n"), 5, "`input` of `m` is in dollars per million tokens"),
        (entry("    prices: {m: {input: .inf, output: 1}}\n"), 5, "not inf."),
        (entry("    prices: {m: {input: $3, output: 1}}\n"), 5, "not '$3'."),
        (entry("    prices: {m: 3}\n"), 5, "the price of `m` has to be a mapping"),
        ("providers:\n  lab: {speaks: openai\n", 3, "this is not YAML"),
        ("providers:\n  lab: !!python/object:os.system x\n", 2, "this is not YAML"),
        (entry("    images: !!python/name:os.system x\n"), 5, "this is not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = file_of(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_providers([path])
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434/v1", "ftp://lab/v1", "http://", "http://lab:port/v1", "https://lab/v1?api-version=1",
        f"https://lab/v1?key={SECRET}", f"https://me:{SECRET}@lab/v1", "https://lab/v1#x", "7", "https://[lab/v1",
    ],
)  # fmt: skip
def test_an_address_holds_no_key_and_nothing_that_gets_lost(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="line 2: `base_url` ") as caught:
        read_providers([file_of(tmp_path, f"providers:\n  lab: {{speaks: openai, base_url: '{url}'}}\n")])
    assert SECRET not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file"):
        read_providers([tmp_path / "none.yaml"])
    path = tmp_path / "odd.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"odd\.yaml is not a text in UTF-8"):
        read_providers([path])


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    work, snakefile, settings = tmp_path / "work", tmp_path / "workflow", tmp_path / "settings"
    environment = {"XDG_CONFIG_HOME": str(settings), "HOME": str(tmp_path / "home")}

    def found(chosen: Path | None = None, **changed: str) -> list[str]:
        all_of = places(chosen=chosen, workdir=work, beside=snakefile, environment={**environment, **changed})
        return [str(path.relative_to(tmp_path)) for path in all_of]

    assert found() == []
    file_of(tmp_path, "", "home/.config/llmagent/config.yaml")
    assert found() == []
    assert found(XDG_CONFIG_HOME="") == ["home/.config/llmagent/config.yaml"]
    assert found(XDG_CONFIG_HOME="", HOME="") == []
    file_of(tmp_path, "", "settings/llmagent/config.yaml")
    file_of(tmp_path, "", "workflow/llmagent.yaml")
    assert found() == ["workflow/llmagent.yaml", "settings/llmagent/config.yaml"]
    file_of(tmp_path, "", "work/llmagent.yaml")
    assert found() == ["work/llmagent.yaml", "settings/llmagent/config.yaml"]
    assert found(tmp_path / "own.yaml") == ["own.yaml"]


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("http://gpu17.lab:8000/v1", True),
        ("http://10.0.0.7/v1", True),
        ("http://localhost.evil.org/v1", True),
        ("https://gpu17.lab/v1", False),
        ("http://localhost:11434/v1", False),
        ("http://models.localhost/v1", False),
        ("http://127.0.0.53:1/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_what_others_can_read(url: str, exposed: bool) -> None:
    assert exposes(url) is exposed
