"""What is shown of software, without what a person keeps beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox import landlock, visible
from tests.unit.sandbox.support import Stand


def tree(folder: Path, *names: str) -> Path:
    """Files below a folder; a name that ends in `/` is a directory."""
    for name in names:
        place = folder / name
        (place if name.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            place.touch()
    return folder


def shown(places: Iterable[Path | str], *guarded: Path | str) -> list[str]:
    return visible.software([str(place) for place in places], [str(place) for place in guarded])


# --- software ---------------------------------------------------------------------------------------------------------


def test_each_place_once_and_none_inside_another(tmp_path: Path) -> None:
    tree(tmp_path, "a/lib/x", "b/", "ab/")
    places = [tmp_path / name for name in ("b", "a/lib", "a", "a", "ab", "a/../b", "gone")]
    assert shown(places) == [str(tmp_path / name) for name in ("a", "ab", "b")]


@pytest.mark.parametrize("place", ["/", "/usr", "/usr/local/lib/python3", "/bin", "relative/lib", "", "/no/such/place"])
def test_what_is_shown_anyway_or_never(place: str) -> None:
    assert shown([place]) == []
    assert shown([place], "/home/somebody") == []


@pytest.mark.parametrize("place", ["/.", "/usr/..", "//", "/home/.."])
def test_odd_names_of_the_root_show_nothing_of_it(place: str, tmp_path: Path) -> None:
    found = shown([place], tmp_path)
    assert not {"/", "//", "/etc", "/home", "/root", "/tmp"} & set(found)


def test_a_prefix_that_holds_the_home_or_the_project_is_shown_in_part(tmp_path: Path) -> None:
    """As after `pip install --prefix ~`."""
    home = tree(tmp_path / "home", "bin/python", "lib/python3.11/x.py", "share/", ".ssh/key", "notes", "project/data")
    expected = [str(home / name) for name in ("bin", "lib", "share")]
    assert shown([home], home) == expected
    assert shown([home], home / "project") == expected
    assert shown([tmp_path], home) == []


def test_a_part_that_holds_the_project_is_not_shown(tmp_path: Path) -> None:
    home = tree(tmp_path / "home", "bin/python", "lib/project/data", "include/")
    assert shown([home], home, home / "lib" / "project") == [str(home / "bin"), str(home / "include")]


def test_links_do_not_hide_what_is_guarded(tmp_path: Path) -> None:
    home = tree(tmp_path / "real" / "home", "bin/python", ".ssh/key")
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "up").symlink_to(tmp_path / "real")
    assert shown([tmp_path / "link"], home) == [str(tmp_path / "link" / "bin")]
    assert shown([home], tmp_path / "link") == [str(home / "bin")]
    assert shown([tmp_path / "up"], home) == []
    (home / "lib").symlink_to(home)
    assert shown([home], home) == [str(home / "bin")]


def test_a_prefix_inside_of_what_is_guarded_is_shown(tmp_path: Path) -> None:
    """A virtual environment in the project, or a Python below the home directory."""
    home = tree(tmp_path / "home", ".pyenv/versions/3/bin/python", "project/.venv/bin/python")
    places = [home / ".pyenv/versions/3", home / "project/.venv"]
    assert shown(places, home, home / "project") == [str(place) for place in places]


def test_the_variables_of_a_conda_environment_are_not_shown(tmp_path: Path) -> None:
    env = tree(tmp_path / "env", "bin/python", "lib/x", "conda-meta/state", "conda-meta/numpy.json", "etc/profile")
    assert shown([env]) == [str(env / name) for name in ("bin", "etc", "lib")]
    base = tree(tmp_path / "base", "bin/python", "conda-meta/history", "envs/other/conda-meta/state", "pkgs/x")
    assert shown([base]) == [str(base / "bin")]
    plain = tree(tmp_path / "plain", "bin/python", "lib/x")
    assert shown([plain]) == [str(plain)]


def test_places_that_the_persons_set_up_names(tmp_path: Path) -> None:
    tree(tmp_path, "sw/lib/", "sw/root/", "project/lib/", "file")
    names = {
        "LD_LIBRARY_PATH": f"{tmp_path / 'sw/lib'}::{tmp_path / 'gone'}:{tmp_path / 'file'}:{tmp_path}",
        "ROOTSYS": str(tmp_path / "sw/root"),
        "PYTHONPATH": f"{tmp_path / 'project'}:{tmp_path / 'project/lib'}:/",
        "SOMETHING": "/etc",
    }
    found = visible.from_environment(names, [str(tmp_path / "project")])
    assert found == [str(tmp_path / name) for name in ("project/lib", "sw/lib", "sw/root")]
    assert visible.from_environment({}, []) == []


# --- Pythons ----------------------------------------------------------------------------------------------------------


def link(place: Path, target: Path | str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def test_a_python_behind_links(tmp_path: Path) -> None:
    """As uv and pyenv make them: absolute links, relative ones, links of links."""
    base = tree(tmp_path / "store" / "cpython-3.11", "bin/python3.11")
    link(base / "bin" / "python3", "python3.11")
    link(tmp_path / "pyenv" / "shims" / "bin" / "python", base / "bin" / "python3")
    link(tmp_path / "venv" / "bin" / "python", "../../pyenv/shims/bin/python")
    found = visible.python_places(str(tmp_path / "venv" / "bin" / "python"))
    assert {str(tmp_path / "venv"), str(tmp_path / "pyenv" / "shims"), str(base)} <= set(found)
    assert str(tmp_path) not in found and "/" not in found


def test_a_virtual_environment_of_a_virtual_environment(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", "bin/python")
    tree(tmp_path / "one", "bin/python").joinpath("pyvenv.cfg").write_text(f"home = {base / 'bin'}\nversion = 3\n")
    tree(tmp_path / "two", "bin/python").joinpath("pyvenv.cfg").write_text(f"home={tmp_path / 'one' / 'bin'}\n")
    found = visible.python_places(str(tmp_path / "two" / "bin" / "python"))
    assert {str(tmp_path / name) for name in ("two", "one", "base")} == set(found)


def test_links_in_a_circle(tmp_path: Path) -> None:
    link(tmp_path / "a" / "bin" / "python", tmp_path / "b" / "bin" / "python")
    link(tmp_path / "b" / "bin" / "python", tmp_path / "a" / "bin" / "python")
    assert set(visible.python_places(str(tmp_path / "a" / "bin" / "python"))) == {
        str(tmp_path / "a"), str(tmp_path / "b"),
    }  # fmt: skip


def test_a_program_that_lies_about_shows_its_own_folder_only(tmp_path: Path) -> None:
    tree(tmp_path, "group/tools/python", "group/secret")
    assert set(visible.python_places(str(tmp_path / "group" / "tools" / "python"))) == {str(tmp_path / "group/tools")}


def test_our_own_python() -> None:
    found = visible.own_python()
    assert {sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)} <= set(found)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), max_size=8))
def test_outermost(parts: list[list[str]]) -> None:
    places = ["/" + "/".join(part) for part in parts]
    kept = visible.outermost(places)
    assert len(set(kept)) == len(kept)
    assert all(any(place == one or place.startswith(f"{one}/") for one in kept) for place in places)
    assert not any(one != other and other.startswith(f"{one}/") for one in kept for other in kept)


def test_outermost_of_names_that_begin_alike() -> None:
    """Sorted, a name such as `a-b` stands between `a` and what is below it."""
    assert visible.outermost(["/a/x", "/a-b", "/a", "/ab"]) == ["/a", "/a-b", "/ab"]
    assert visible.outermost(["/a/x", "/a-b/y", "/a.c", "/a"]) == ["/a", "/a-b/y", "/a.c"]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_rules() -> None:
    def given(*, shared: tuple[str, ...] = (), proc: bool = False) -> dict[str, int]:
        return dict(visible.rules(software=["/sw"], readable=["/in"], writable=["/stage"], shared=shared, proc=proc))

    bare = given()
    assert (bare["/sw"], bare["/in"]) == (landlock.READ_AND_RUN, landlock.READ)
    assert bare["/stage"] & landlock.WRITE_FILE and not bare["/in"] & (landlock.WRITE_FILE | landlock.EXECUTE)
    assert not {"/", "/tmp", "/dev/shm", "/proc", "/etc", "/dev/tty", "/home"} & set(bare)
    assert given(shared=("/tmp",))["/tmp"] & landlock.WRITE_FILE and "/proc" not in given(shared=("/tmp",))
    assert given(proc=True)["/proc"] == landlock.READ
    writable = {place for place, rights in bare.items() if rights & landlock.WRITE_FILE}
    assert writable == {"/stage", "/dev/null", "/dev/zero", "/dev/full"}


@pytest.mark.parametrize("backend", ["bwrap", "landlock"])
def test_a_home_that_is_a_prefix_too(tmp_path: Path, backend: str) -> None:
    """Its programs run, and its secrets are not to be seen."""
    home = tree(tmp_path / "home", ".ssh/key", "notes", "bin/")
    (home / "bin" / "tool").write_text("#!/bin/sh\necho from the home\n")
    (home / "bin" / "tool").chmod(0o755)
    source = f"""
        import os, subprocess
        print(subprocess.run([{str(home / "bin" / "tool")!r}], capture_output=True, text=True).stdout.strip())
        for name in (".ssh/key", "notes"):
            try:
                print(open({str(home)!r} + "/" + name).read())
            except OSError:
                print("no")
    """
    done = Stand(tmp_path / "room", backend).run(source, roots=(home,), guarded=(home,))
    assert done.log == "from the home\nno\nno\n"
