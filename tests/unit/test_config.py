from __future__ import annotations

import json
import os
import pickle
import pwd
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_interface_common.exceptions import WorkflowError

from snakemake_executor_plugin_llmagent import config, keys
from snakemake_executor_plugin_llmagent.config import (
    AUTO,
    DEFAULTS,
    KEY_VARIABLES,
    PROVIDERS_VARIABLE,
    READABLE_VARIABLE,
    REDACTED,
    SANDBOX_VARIABLE,
    SANDBOXES,
    Keys,
    Options,
    check_readable,
    chosen_sandbox,
    for_children,
    persons_choices,
    read_keys,
    remove_keys,
    validate_options,
)
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.settings import ExecutorSettings, run_options

SECRET = "sk-canary-0123456789"
HERE = Path("/project")


def key_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_come_from_the_environment() -> None:
    keys = read_keys({"OPENAI_API_KEY": SECRET, "HOME": "/root"})
    assert keys.get("OPENAI_API_KEY") == SECRET
    assert keys.get("ANTHROPIC_API_KEY") is None
    assert set(keys.values) == {"OPENAI_API_KEY"}


def test_no_representation_shows_a_secret() -> None:
    keys = read_keys({"OPENAI_API_KEY": SECRET})
    assert SECRET not in f"{keys!r} {keys!s} {[keys]!r} {keys:}"


def test_empty_variables_and_line_ends_are_no_keys() -> None:
    keys = read_keys({"OPENAI_API_KEY": f" {SECRET}\n", "ANTHROPIC_API_KEY": " \n", "OPENAI_ADMIN_KEY": ""})
    assert keys.values == {"OPENAI_API_KEY": SECRET}


def test_a_key_file_in_all_its_forms(tmp_path: Path) -> None:
    path = key_file(
        tmp_path,
        f"\ufeff# of the group\n\nOPENAI_API_KEY={SECRET}\r\n  export ANTHROPIC_API_KEY = '{SECRET}b'\n"
        f'OPENAI_ADMIN_KEY="{SECRET}=c"\nANTHROPIC_AUTH_TOKEN=\n',
    )
    assert read_keys({}, path).values == {
        "OPENAI_API_KEY": SECRET,
        "ANTHROPIC_API_KEY": f"{SECRET}b",
        "OPENAI_ADMIN_KEY": f"{SECRET}=c",
    }


def test_the_environment_wins_over_the_key_file(tmp_path: Path) -> None:
    path = key_file(tmp_path, f"OPENAI_API_KEY=file-{SECRET}\nANTHROPIC_API_KEY=file-{SECRET}\n")
    keys = read_keys({"OPENAI_API_KEY": SECRET, "ANTHROPIC_API_KEY": ""}, path)
    assert keys.values == {"OPENAI_API_KEY": SECRET, "ANTHROPIC_API_KEY": f"file-{SECRET}"}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"{SECRET}", SECRET),
        (f"{SECRET}  # until May", SECRET),
        (f"{SECRET}#1", f"{SECRET}#1"),
        (f'"{SECRET} # 1"', f"{SECRET} # 1"),
        (f"'{SECRET}' # until May", SECRET),
        (f'"{SECRET}"#x', SECRET),
        (r'"a\"b\\c-long"', 'a"b\\c-long'),
        (r"'a\b-long'", r"a\b-long"),
        ("", None),
        ("# nothing", None),
        ("''", None),
    ],
)
def test_values_as_in_an_env_file(tmp_path: Path, text: str, secret: str | None) -> None:
    for before in ("", "export ", "export\t"):
        path = key_file(tmp_path, f"{before}OPENAI_API_KEY={text}\n")
        assert read_keys({}, path).get("OPENAI_API_KEY") == secret


@pytest.mark.parametrize("text", [f'"{SECRET}', f"'{SECRET}", f'"{SECRET}" {SECRET}', f"'{SECRET}'x"])
@pytest.mark.parametrize("name", ["keys", ".env"])
def test_quotes_that_do_not_match(tmp_path: Path, text: str, name: str) -> None:
    path = key_file(tmp_path, f"OPENAI_API_KEY={text}\n").rename(tmp_path / name)
    with pytest.raises(ConfigError, match="Line 1 of the key file") as caught:
        read_keys({}, path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("name", "passes"), [(".env", True), (".env.local", True), ("lab.env", True), ("env", False)])
def test_what_else_stands_in_an_env_file(tmp_path: Path, name: str, passes: bool) -> None:
    text = f"HOST=lab\nDEBUG\nif [ -z x ]; then\nMOTTO='unclosed\nexport OPENAI_API_KEY={SECRET}\n"
    path = key_file(tmp_path, text).rename(tmp_path / name)
    if passes:
        assert read_keys({}, path).values == {"OPENAI_API_KEY": SECRET}
        path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600" if passes else "Line 1 of the key file"):
        read_keys({}, path)


def test_variables_of_named_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_NAMED", set())
    path = key_file(tmp_path, f"LAB_API_KEY={SECRET}\n")
    with pytest.raises(ConfigError, match="Line 1 of the key file"):
        read_keys({}, path)
    keys.note_key_variables(["LAB_API_KEY"])
    assert read_keys({}, path).values == {"LAB_API_KEY": SECRET}
    assert read_keys({"LAB_API_KEY": f"{SECRET}-2"}, path).values == {"LAB_API_KEY": f"{SECRET}-2"}
    environment = {"LAB_API_KEY": SECRET, "PATH": "/bin"}
    assert keys.without_keys(environment) == {"PATH": "/bin"}
    assert remove_keys(environment, keep=["LAB_API_KEY"]) == {}
    assert remove_keys(environment) == {"LAB_API_KEY": SECRET}
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o444])
def test_a_key_file_that_others_can_read_is_an_error(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=r"can be read by other users\. Run: chmod 600 .*keys"):
        read_keys({}, key_file(tmp_path, f"OPENAI_API_KEY={SECRET}", mode))


@pytest.mark.parametrize(
    "text", [f"OPENAI_API_KEY {SECRET}", f"OPENAI_KEY={SECRET}", SECRET, f"openai_api_key={SECRET}", f"={SECRET}"]
)
def test_a_wrong_line_is_named_without_its_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="Line 2 of the key file") as caught:
        read_keys({}, key_file(tmp_path, f"# keys\n{text}\n"))
    assert SECRET not in str(caught.value)


def test_a_key_file_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a text in UTF-8") as caught:
        read_keys({}, key_file(tmp_path, f"OPENAI_API_KEY={SECRET}".encode() + b"\xff\xfe"))
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_keys({}, tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_keys({}, tmp_path)


def test_redaction_takes_out_the_longest_first() -> None:
    keys = Keys(values={"OPENAI_API_KEY": "secret", "ANTHROPIC_API_KEY": "secret-longer"})
    assert keys.redact("a secret-longer b secret c") == f"a {REDACTED} b {REDACTED} c"


def test_short_words_are_not_taken_for_secrets() -> None:
    """Gateways that need no key are given `EMPTY` or `x`."""
    assert Keys(values={"OPENAI_API_KEY": "x"}).redact("exact") == "exact"


@given(st.text(min_size=6, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_survives_redaction_plain_or_in_json(secret: str, before: str, after: str) -> None:
    keys = Keys(values={"OPENAI_API_KEY": secret})
    whole = f"{before}{secret}{after}"
    assert secret not in keys.redact(whole) or secret in REDACTED * 2
    for ascii_only in (True, False):
        in_json = keys.redact(json.dumps({"text": whole}, ensure_ascii=ascii_only))
        assert json.dumps(secret, ensure_ascii=ascii_only)[1:-1] not in in_json or secret in REDACTED * 2


def test_keys_are_taken_out_of_an_environment() -> None:
    environment = {**dict.fromkeys(KEY_VARIABLES, SECRET), "PATH": "/bin"}
    taken = remove_keys(environment, keep=["OPENAI_API_KEY", "OTHER"])
    assert environment == {"PATH": "/bin", "OPENAI_API_KEY": SECRET}
    assert set(taken) == set(KEY_VARIABLES) - {"OPENAI_API_KEY"}
    assert remove_keys({}) == {}


def test_reading_keys_leaves_this_process_alone() -> None:
    before = dict(os.environ)
    read_keys(os.environ)
    assert dict(os.environ) == before


# --- options --------------------------------------------------------------------------------------------------------

CHOICES = st.builds(
    Options,
    model=st.sampled_from([None, "openai:a", "openai:b"]),
    supervision=st.sampled_from([None, "full", "none"]),
    max_attempts=st.sampled_from([None, 1, 2]),
    timeout=st.sampled_from([None, 1.0]),
    sandbox=st.sampled_from([None, "bwrap", "landlock"]),
    readable=st.lists(st.sampled_from(["/a", "/b", "/c"]), unique=True).map(tuple),
)


@given(CHOICES, CHOICES, CHOICES)
def test_the_cascade(rule: Options, run: Options, default: Options) -> None:
    chosen = rule.over(run).over(default)
    assert chosen == rule.over(run.over(default))
    assert set(chosen.readable) == {*rule.readable, *run.readable, *default.readable}
    assert len(chosen.readable) == len(set(chosen.readable))
    for name in {field.name for field in fields(Options)} - {"readable"}:
        values = [getattr(each, name) for each in (rule, run, default)]
        assert getattr(chosen, name) == next((value for value in values if value is not None), None)


def test_defaults_are_complete_but_for_models_and_what_the_environment_says() -> None:
    missing = {name for name, value in vars(DEFAULTS).items() if value is None}
    assert missing == {"model", "coder", "supervisor", "sandbox", "slice", "tolerance", "budget"}
    assert validate_options(DEFAULTS, HERE) == DEFAULTS


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model": "openai:gpt-5", "coder": "anthropic:claude", "supervisor": "none"},
        {"model": "openai:library/model:7b"},
        *({"model": f"{name}:m"} for name in ("cborg", "openai-lab", "openrouter", "openchat", "replicate", "ollama")),
        {"supervision": "full", "approve": "person"},
        {"max_attempts": 1, "timeout": 0.5},
        {"timeout": 10},
        *({"sandbox": sandbox} for sandbox in SANDBOXES),
        {"readable": ("/cvmfs/atlas.cern.ch", "/opt/calib/v1.json")},
    ],
)
def test_sound_options_stay_as_they_are(options: dict[str, Any]) -> None:
    assert validate_options(Options(**options), HERE) == Options(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gpt-5"}, "`model` has to be of the form openai:NAME, anthropic:NAME, replay:DIR, not 'gpt-5'."),
        ({"model": "openai:"}, "not 'openai:'."),
        ({"model": ""}, "`model` has to be of the form"),
        ({"model": "none"}, "`model` has to be of the form"),
        ({"fallback": "gpt-5"}, "`fallback` has to be of the form"),
        ({"fallback": ["openai:a", "none"]}, "`fallback` has to be of the form .* not 'none'"),
        ({"fallback": ["openai:a", None]}, "`fallback` has to be of the form"),
        ({"fallback": 3}, "`fallback` has to be a list of models, not int."),
        ({"model": "Lab:m"}, "not 'Lab:m'."),
        ({"model": "OpenAI:m"}, "not 'OpenAI:m'. Did you mean 'openai'?"),
        ({"model": "my lab:m"}, "not 'my lab:m'."),
        ({"coder": "opneai:gpt-5"}, "`coder` .* Did you mean 'openai'?"),
        ({"supervisor": 5}, "`supervisor` has to be a string of the form .*, not int."),
        ({"model": ["openai:a"]}, "not list."),
        ({"supervision": "ful"}, "`supervision` has to be one of review, full, none, not 'ful'. Did you mean 'full'?"),
        ({"supervision": True}, "not True."),
        ({"supervision": ["full"]}, r"not \['full'\]."),
        ({"approve": "persons"}, "`approve` has to be one of checks, person, .* Did you mean 'person'?"),
        ({"max_attempts": 0}, "`max_attempts` has to be a whole number of at least 1, not 0."),
        ({"max_attempts": -1}, "not -1."),
        ({"max_attempts": 2.5}, "not 2.5."),
        ({"max_attempts": "3"}, "not '3'."),
        ({"max_attempts": True}, "not True."),
        ({"timeout": 0}, "`timeout` has to be a time in seconds, not 0."),
        ({"timeout": -1.0}, "not -1.0."),
        ({"timeout": float("nan")}, "not nan."),
        ({"timeout": float("inf")}, "not inf."),
        ({"timeout": "1h"}, "not '1h'."),
        ({"timeout": True}, "not True."),
        ({"sandbox": "bubblewrap"}, "`sandbox` has to be one of auto, bwrap, bwrap-hostproc, landlock, none, not 'bub"),
        ({"sandbox": "landlok"}, "not 'landlok'. Did you mean 'landlock'?"),
        ({"sandbox": False}, "not False."),
        ({"sandbox": ["none"]}, r"not \['none'\]."),
        ({"readable": 3}, "`readable` has to be a list of paths, not int."),
        ({"readable": None}, "not NoneType."),
        ({"readable": {"/a": 1}}, "not dict."),
        ({"readable": b"/a"}, "not bytes."),
        ({"readable": ["/a", 3]}, "`readable` has to be a list of paths; 3 is none."),
        ({"readable": ["/a", None]}, "None is none."),
        ({"readable": [b"/a"]}, "b'/a' is none."),
        ({"readable": [""]}, "'' is none."),
        ({"readable": [" "]}, "' ' is none."),
        ({"readable": ["a\0b"]}, "is none."),
        ({"readable": ["~nobody-of-this-name/x"]}, "`readable` names ~nobody-of-this-name/x: "),
    ],
)
def test_wrong_options_are_named_with_what_there_is(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        validate_options(Options(**options), HERE)


def test_recordings_lie_relative_to_whoever_names_them(tmp_path: Path) -> None:
    found = validate_options(Options(model="replay:rec", coder="replay:../x/rec", supervisor="openai:a"), tmp_path)
    assert found.model == f"replay:{tmp_path / 'rec'}"
    assert found.coder == f"replay:{tmp_path.parent / 'x' / 'rec'}"
    assert found.supervisor == "openai:a"
    assert validate_options(found, HERE) == found


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, None),
        ([], ()),
        ("none", ()),
        (["none"], ()),
        ("openai:a", ("openai:a",)),
        (["openai:a", "lab:b", "openai:a"], ("openai:a", "lab:b")),
        (["replay:rec"], ("replay:/here/rec",)),
    ],
)
def test_who_stands_in(named: Any, found: tuple[str, ...] | None) -> None:
    assert validate_options(Options(fallback=named), Path("/here")).fallback == found


def test_a_rule_says_anew_who_stands_in() -> None:
    run = Options(fallback=("openai:a",))
    assert Options().over(run).over(DEFAULTS).fallback == ("openai:a",)
    assert Options(fallback=()).over(run).over(DEFAULTS).fallback == ()
    assert Options().over(DEFAULTS).fallback == ()


def test_options_can_be_handed_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(DEFAULTS)) == DEFAULTS


def test_a_model_for_both_roles_takes_the_place_of_models_of_one_role_from_further_out() -> None:
    run = Options(coder="openai:far", supervisor="openai:far", max_attempts=3)
    both = Options(model="openai:near").over(run)
    assert (both.model, both.coder, both.supervisor, both.max_attempts) == ("openai:near", None, None, 3)
    one = Options(coder="openai:near").over(run)
    assert (one.model, one.coder, one.supervisor) == (None, "openai:near", "openai:far")
    assert Options(model="openai:near").over(Options(supervisor="none")).supervisor == "none"


# --- readable places ------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a home, a project that is the working directory, and data beside them."""
    for name in ("people/me", "work/project/calib", "work/data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "people/me"))
    monkeypatch.chdir(tmp_path / "work/project")
    return tmp_path


def test_readable_places_are_relative_to_whoever_names_them(places: Path) -> None:
    named: Any = ["calib/", Path("../data"), "/cvmfs//x/../y", "~/calib", "../data", "//cvmfs/y"]
    found = validate_options(Options(readable=named), places / "work/project/rules")
    assert found.readable == (
        f"{places}/work/project/rules/calib", f"{places}/work/project/data", "/cvmfs/y", f"{places}/people/me/calib",
    )  # fmt: skip
    assert validate_options(found, HERE) == found
    one: Any = "calib"
    assert validate_options(Options(readable=one), places).readable == (f"{places}/calib",)


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("/", "working directory"),
        ("//", "working directory"),
        ("/../.", "working directory"),
        (".", "working directory"),
        ("calib/..", "working directory"),
        ("..", "working directory"),
        ("../../people", "home directory"),
        ("~", "home directory"),
        ("~/", "home directory"),
        ("link-to-root", "working directory"),
        ("link-to-project", "working directory"),
        ("link-to-people", "home directory"),
        ("link-to-people/me", "home directory"),
        ("/proc", "other processes"),
        ("/proc/self/environ", "other processes"),
        ("/sys/fs", "other processes"),
        ("/dev/shm", "other processes"),
    ],
)
def test_places_that_would_show_everything(places: Path, place: str, what: str) -> None:
    project = places / "work/project"
    for name, target in {"root": Path("/"), "project": project, "people": places / "people"}.items():
        (project / f"link-to-{name}").symlink_to(target)
    with pytest.raises(ConfigError, match=rf"`readable` must not hold .*{what}"):
        validate_options(Options(readable=(place,)), project)
    made = Options(readable=(os.path.normpath(project / Path(place).expanduser()),))
    with pytest.raises(ConfigError, match="`readable` must not hold"):
        check_readable(made)


def test_the_home_of_the_account_counts_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.getpwuid(os.getuid()).pw_dir
    for home in ("", "relative", "/nowhere"):
        monkeypatch.setenv("HOME", home)
        with pytest.raises(ConfigError, match="must not hold"):
            validate_options(Options(readable=(account,)), HERE)


def test_what_is_beside_the_project_may_be_read(places: Path) -> None:
    for place in ("calib", "../data", "~/calib", "/cvmfs/atlas.cern.ch", "/opt"):
        validate_options(Options(readable=(place,)), places / "work/project")


def test_places_have_to_exist_when_a_script_runs(places: Path) -> None:
    there = validate_options(Options(readable=("calib", "../data")), Path.cwd())
    check_readable(there)
    gone = validate_options(Options(readable=("calib", "missing")), Path.cwd())
    with pytest.raises(ConfigError, match=r"`readable` names .*/work/project/missing, which does not exist\."):
        check_readable(gone)
    (places / "work/project/calib").rmdir()
    (places / "work/project/calib").symlink_to("/")
    with pytest.raises(ConfigError, match="must not hold"):
        check_readable(there)


# --- what the person said in the environment ------------------------------------------------------------------------


def said(monkeypatch: pytest.MonkeyPatch, sandbox: str = "", readable: str = "") -> None:
    started = {SANDBOX_VARIABLE: sandbox, READABLE_VARIABLE: readable, PROVIDERS_VARIABLE: ""}
    monkeypatch.setattr(config, "_AT_START", started)


@pytest.mark.parametrize("environment", ["", "landlock", "none"])
@pytest.mark.parametrize("run", [None, "bwrap", "none", "auto"])
@pytest.mark.parametrize("rule", [None, "bwrap-hostproc", "auto"])
def test_rule_before_run_before_environment(
    monkeypatch: pytest.MonkeyPatch, rule: str | None, run: str | None, environment: str
) -> None:
    said(monkeypatch, environment)
    expected = rule or run or environment or "auto"
    assert chosen_sandbox(Options(sandbox=rule), Options(sandbox=run)) == expected
    # The same if somebody hands on what was put together already.
    together = Options(sandbox=rule).over(Options(sandbox=run)).over(DEFAULTS)
    assert chosen_sandbox(together, Options(sandbox=run)) == expected
    assert for_children(Options(sandbox=run))[SANDBOX_VARIABLE] == (run or environment or "auto")


@pytest.mark.parametrize(
    ("sandbox", "readable", "message"),
    [
        ("nonne", "", "Environment variable LLMAGENT_SANDBOX: .* not 'nonne'. Did you mean 'none'?"),
        ("1", "", "Environment variable LLMAGENT_SANDBOX: `sandbox` has to be one of auto"),
        ("", "/opt:calib", "Environment variable LLMAGENT_READABLE: `readable` has to be absolute here, not 'calib'."),
        ("", "/", "Environment variable LLMAGENT_READABLE: `readable` must not hold /: "),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, sandbox: str, readable: str, message: str) -> None:
    said(monkeypatch, sandbox, readable)
    for action in (persons_choices, lambda: chosen_sandbox(Options(), Options())):
        with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
            action()


def test_places_from_the_environment_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, readable="/opt/a::/opt/b/../c:")
    assert persons_choices() == Options(readable=("/opt/a", "/opt/c"))
    assert for_children(Options(readable=("/opt/z",)))[READABLE_VARIABLE] == "/opt/z:/opt/a::/opt/b/../c:"


def test_children_are_told_what_the_person_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, "nonne", "calib")
    # Wrong, but a workflow without agent rules has nothing to do with it.
    assert for_children(Options()) == {SANDBOX_VARIABLE: "nonne", READABLE_VARIABLE: "calib", PROVIDERS_VARIABLE: ""}
    said(monkeypatch)
    monkeypatch.setenv(SANDBOX_VARIABLE, "none")  # as a Snakefile may
    assert for_children(Options()) == {SANDBOX_VARIABLE: AUTO, READABLE_VARIABLE: "", PROVIDERS_VARIABLE: ""}
    assert chosen_sandbox(Options(), Options()) == AUTO


# --- settings of a run ----------------------------------------------------------------------------------------------


def test_settings_become_options(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, "landlock", "/opt/person")
    given = ExecutorSettings(sandbox="bwrap", readable=["calib", "/opt/run"], model="openai:a", timeout=3.0)
    assert run_options(given) == Options(
        sandbox="bwrap", readable=(str(places / "work/project/calib"), "/opt/run", "/opt/person"), model="openai:a",
        timeout=3.0,
    )  # fmt: skip
    person = Options(sandbox="landlock", readable=("/opt/person",))
    assert run_options(ExecutorSettings()) == run_options(None) == run_options(object()) == person
    one: Any = "calib"
    assert run_options(ExecutorSettings(readable=one)).readable[0] == str(places / "work/project/calib")
    nothing: Any = None
    assert run_options(ExecutorSettings(readable=nothing)) == person


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"readable": ["/"]}, "must not hold /"),
        ({"readable": [3]}, "3 is none"),
        ({"sandbox": "x"}, "one of auto"),
        ({"budget": "2"}, "`budget` has to say of what: 2 may be dollars or tokens"),
        ({"monthly_budget": "2 EUR"}, "`monthly_budget` is counted in USD or tokens, not in 'EUR'"),
    ],
)
def test_wrong_settings_through_the_interface_of_snakemake(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        ExecutorSettings(**settings)


def test_budgets_of_a_run_are_no_options_of_rules(places: Path) -> None:
    given = ExecutorSettings(budget="2 usd", monthly_budget="200000 tokens", prices="prices.yaml")
    assert (given.budget, given.monthly_budget) == ("2 USD", "200k tokens")
    assert given.prices == str(Path.cwd() / "prices.yaml")
    assert run_options(given).budget is None


def test_the_budget_of_a_rule() -> None:
    chosen: Any = ["2 USD", "1.5M tokens"]
    rule = validate_options(Options(budget=chosen), Path("/"))
    assert rule.budget == "2 USD and 1.5M tokens"
    assert rule.over(Options(budget="9 USD")).budget == rule.budget
