from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.spec import Document, Kind, Slot, Spec, digest_text

NAMES = st.one_of(st.none(), st.text("abc_", min_size=1, max_size=4))
SLOTS = st.builds(
    Slot,
    name=NAMES,
    kind=st.sampled_from(Kind),
    suffixes=st.sampled_from([(), (".root",), (".json",), (".json", ".root")]),
)
DOCUMENTS = st.builds(
    Document, label=st.text("abc./:", min_size=1, max_size=6), path=st.just(Path("notes.md")), text=st.text(max_size=20)
)
SPECS = st.builds(
    Spec,
    rule=st.just("fit"),
    text=st.text(max_size=30),
    inputs=st.lists(SLOTS, max_size=3).map(tuple),
    outputs=st.lists(SLOTS, max_size=3).map(tuple),
    params=st.lists(st.text("abc", min_size=1, max_size=3), max_size=2).map(tuple),
    wildcards=st.lists(st.text("abc", min_size=1, max_size=3), max_size=2).map(tuple),
    context=st.lists(DOCUMENTS, max_size=2).map(tuple),
    checks=st.lists(DOCUMENTS, max_size=2).map(tuple),
)


def meaning(spec: Spec) -> tuple[Any, ...]:
    documents = [[(document.label, document.text) for document in each] for each in (spec.context, spec.checks)]
    return spec.text, spec.inputs, spec.outputs, spec.params, spec.wildcards, documents


def full() -> Spec:
    return Spec(
        rule="fit",
        text="fit m_yy",
        inputs=(Slot(name="data", kind=Kind.FILE, suffixes=(".parquet",)),),
        outputs=(Slot(name="fit", kind=Kind.FILE, suffixes=(".json",)),),
        params=("lumi",),
        wildcards=("sample",),
        context=(Document(label="notes.md", path=Path("/a/notes.md"), text="bins of 1 GeV"),),
        checks=(Document(label="fit.py:good", path=Path("/a/fit.py"), text="def good(job): ..."),),
        source_file="Snakefile",
        line=3,
    )


def test_the_digest_of_a_spec_stays_what_it_is() -> None:
    """Approved physics rests on it: this number changes only together with SPEC_DIGEST_VERSION."""
    assert full().digest == "fa93ce5b99e6469383580d4772a1abc2709668eda5ca85a4b62dd555c4906778"


@given(SPECS, SPECS)
def test_specs_of_one_meaning_and_no_others_share_a_digest(one: Spec, other: Spec) -> None:
    assert (one.digest == other.digest) == (meaning(one) == meaning(other))
    assert replace(one).digest == one.digest


@pytest.mark.parametrize(
    "change",
    [
        {"text": "fit m_jj"},
        {"text": "fit m_yy "},
        {"inputs": ()},
        {"inputs": (Slot(name="mc", kind=Kind.FILE, suffixes=(".parquet",)),)},
        {"inputs": (Slot(name=None, kind=Kind.FILE, suffixes=(".parquet",)),)},
        {"inputs": (Slot(name="data", kind=Kind.FILES, suffixes=(".parquet",)),)},
        {"inputs": (Slot(name="data", kind=Kind.FILE, suffixes=(".root",)),)},
        {"outputs": (Slot(name="fit", kind=Kind.DIRECTORY, suffixes=(".json",)),)},
        {"params": ("energy",)},
        {"params": ()},
        {"wildcards": ("region",)},
        {"context": ()},
        {"context": (Document(label="notes.md", path=Path("/a/notes.md"), text="bins of 2 GeV"),)},
        {"context": (Document(label="other.md", path=Path("/a/notes.md"), text="bins of 1 GeV"),)},
        {"checks": ()},
        {"checks": (Document(label="fit.py:good", path=Path("/a/fit.py"), text="def good(job): return []"),)},
        {"params": (), "wildcards": ("lumi", "sample")},
    ],
)
def test_what_changes_the_meaning_changes_the_digest(change: dict[str, Any]) -> None:
    assert replace(full(), **change).digest != full().digest


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "other_fit"},
        {"source_file": "rules/fit.smk", "line": 70},
        {"context": (Document(label="notes.md", path=Path("/elsewhere/notes.md"), text="bins of 1 GeV"),)},
        {"checks": (Document(label="fit.py:good", path=Path("/elsewhere/fit.py"), text="def good(job): ..."),)},
    ],
)
def test_where_a_rule_lies_does_not(change: dict[str, Any]) -> None:
    assert replace(full(), **change).digest == full().digest


def test_inputs_and_outputs_are_not_interchangeable() -> None:
    slots = full().inputs
    assert Spec(rule="a", text="", inputs=slots).digest != Spec(rule="a", text="", outputs=slots).digest


def test_any_text_has_a_digest() -> None:
    assert digest_text("\ud800") != digest_text("\udfff")


def test_digest_of_a_text_is_sha256_of_utf8() -> None:
    assert digest_text("µ") == "5a072f1be4c3ee04849a9ad686b287d12d6a99dc4eba13c7a2ca1844e7923a0a"
