from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.protocols import Column, FileDescription, Table
from tests.unit.checks.static_support import error, found, holding, told, trial, warning

SAVE = "Path(snakemake.output[0]).write_text(json.dumps({'n': len(mass)}))\n"
ONE = ("fit.json",)
ROOT = holding("photon_pt", "photon_eta", "m_yy", "weight", "dir/nested")
PARQUET = holding("m_yy", "weight", "pt_yy", "n_jets", form="parquet", table="")


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("tree = uproot.open(snakemake.input[0])['events']\nmass = tree['m_gg'].array()\n", "m_gg"),
        ("tree = uproot.open(snakemake.input[0])['mini']\nmass = tree['m_yy'].array()\n", "mini"),
        ("with uproot.open(snakemake.input[0]) as f:\n    mass = f['events']['photon_pT'].array()\n", "photon_pT"),
        ("tree = uproot.open(f'{snakemake.input[0]}:events')\n"
        "mass = tree.arrays(['m_yy', 'wgt'], library='np')\n", "wgt"),
        ("tree = uproot.open(snakemake.input[0])['events']\n"
        "mass = tree.arrays(filter_name=['m_yy', 'jet_n'])\n", "jet_n"),
        ("NAMES = ['m_yy', 'met']\ntree = uproot.open(snakemake.input[0])['events']\n"
        "mass = tree.arrays(NAMES)\n", "met"),
        ("for batch in uproot.iterate(snakemake.input[0], ['m_yy']):\n    mass = batch['myy']\n", "myy"),
        ("MASS = 'diphoton_mass'\nmass = uproot.open(snakemake.input[0])['events'][MASS].array()\n", "diphoton_mass"),
        ("tree = uproot.open(snakemake.input[0])['events']\n"
        "mass = {n: tree[n].array() for n in ('m_yy', 'eta')}\n", "eta"),
        ("def read(path, name):\n    return uproot.open(path)['events'][name].array()\n"
         "tree = uproot.open(snakemake.input[0])['events']\nmass = tree.array('mYY')\nread(snakemake.input[0], 'x')\n",
         "mYY"),
        ("tree = uproot.open(snakemake.input[0])['events']\nmass = {'eta': tree['eta'].array()}\n", "eta"),
        ("import h5py\nwith uproot.open(snakemake.input[0]) as f:\n    tree = f['events']\n    out = {}\n"
         "    out['phi'] = tree['phi'].array()\nmass = out['phi']\n", "phi"),
        ("try:\n    mass = uproot.open(snakemake.input[0])['events']['m_gg'].array()\n"
         "except Exception as problem:\n    raise SystemExit(str(problem))\n", "m_gg"),
    ],
)  # fmt: skip
def test_a_branch_that_no_input_has(source: str, wrong: str) -> None:
    findings = found(trial(source + SAVE, outputs=ONE), ROOT)
    assert told(findings) == error("script.unknown_name")
    assert f"no input has `{wrong}`" in findings[0].message


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("frame = pd.read_parquet(snakemake.input[0])\nmass = frame['m_gg']\n", "m_gg"),
        ("mass = pd.read_parquet(snakemake.input[0], columns=['m_yy', 'weights'])\n", "weights"),
        ("frame = pd.read_parquet(snakemake.input[0])\nmass = frame[['m_yy', 'met']]\n", "met"),
        ("frame = pd.concat([pd.read_parquet(p) for p in snakemake.input])\nmass = frame\n"
         "one = pd.read_parquet(snakemake.input[0])\nmass = one.query('m_yy > 0')['njets']\n", "njets"),
        ("import pyarrow.parquet as pq\ntable = pq.read_table(snakemake.input[0])\n"
         "mass = table.column('mass').to_numpy()\n", "mass"),
        ("def read(path):\n    return pd.read_parquet(path)\nframe = read(snakemake.input[0])\n"
        "mass = frame['mass']\n", "mass"),
        ("frame = pd.read_parquet(snakemake.input[0])\nframe['new'] = 1\nmass = frame['m'] + frame['new']\n", "m"),
    ],
)  # fmt: skip
def test_a_column_that_no_input_has(source: str, wrong: str) -> None:
    findings = found(trial(source + SAVE, inputs=("data.parquet",), outputs=ONE), PARQUET)
    assert told(findings) == error("script.unknown_name")
    assert f"no input has `{wrong}`" in findings[0].message


def test_near_matches_are_named() -> None:
    source = "tree = uproot.open(snakemake.input[0])['events']\nmass = tree['Photon_PT'].array()\n"
    (finding,) = found(trial(source + SAVE, outputs=ONE), ROOT)
    assert "Did you mean `photon_pt`" in finding.message
    assert "Line 15" in finding.message


@pytest.mark.parametrize(
    "source",
    [
        "tree = uproot.open(snakemake.input[0])['events;1']\nmass = tree['m_yy'].array()\n",
        "mass = uproot.open(snakemake.input[0])['events/m_yy'].array()\n",
        "mass = uproot.open(snakemake.input[0])['dir/nested'].array()\n",
        "tree = uproot.open(snakemake.input[0])['events']\nmass = tree.arrays(['sqrt(m_yy**2)', 'm_yy > 100'])\n",
        "tree = uproot.open(snakemake.input[0])['events']\nmass = tree.arrays(filter_name='photon_*')\n",
        "tree = uproot.open(snakemake.input[0])['events']\nmass = tree.arrays(['m'], aliases={'m': 'm_yy'})\n",
        "tree = uproot.open(snakemake.input[0])['events']\nevents = tree.arrays()\nevents['pt'] = events['photon_pt']\n"
        "mass = events['pt']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nevents = ak.zip({'pt': tree['photon_pt'].array()})\n"
        "mass = events['pt']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nif 'm_gg' in tree:\n    mass = tree['m_gg'].array()\n"
        "else:\n    mass = tree['m_yy'].array()\n",
        "tree = uproot.open(snakemake.input[0])['events']\ntry:\n    mass = tree['m_gg'].array()\nexcept KeyError:\n"
        "    mass = tree['m_yy'].array()\n",
        "tree = uproot.open(snakemake.input[0])['events']\nframe = tree.arrays(library='pd')\n"
        "frame = frame.rename(columns={'m_yy': 'mass'})\nmass = frame['mass']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nframe = tree.arrays(library='pd').reset_index()\n"
        "mass = frame['entry']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nframe = tree.arrays(library='pd')\n"
        "for name in ('a', 'b'):\n    frame[name] = frame['m_yy']\nmass = frame['a']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nframe = tree.arrays(library='pd')\n"
        "frame = frame.assign(pt=frame['photon_pt'])\nmass = frame['pt']\n",
        "tree = uproot.open(snakemake.input[0])['events']\nframe = tree.arrays(library='pd')\n"
        "for k in range(2):\n    frame[f'lead_{k}'] = frame['m_yy']\nmass = [frame[f'lead_{k}'] for k in range(2)]\n",
        "tree = uproot.open(snakemake.input[0])['events']\nmeans = tree.arrays(library='pd').describe()\n"
        "mass = means['x']\n",
        "doc = json.loads(Path(snakemake.input[0]).read_text())\nmass = doc['anything']\n",
        "mass = list(snakemake.config['x'])\n",
        "mass = list(snakemake.params['names']) + [snakemake.input['data']]\n",
        "cuts = {'a': 1}\nmass = [cuts['b']]\n",
        "names = ['a']\nmass = [n for n in names]\n",
    ],
)
def test_names_that_are_right_or_not_of_an_input(source: str) -> None:
    assert found(trial(source + SAVE, outputs=ONE), ROOT) == ()


IN_A_CASE = [
    "if snakemake.wildcards.sample != 'data':\n    weight = tree['mcWeight'].array()\n    mass = mass * weight\n",
    "def weights(tree):\n    return tree['mcWeight'].array()\nif snakemake.params.is_mc:\n"
    "    mass = mass * weights(tree)\n",
    "mass = mass * tree['mcWeight'].array() if snakemake.params.is_mc else mass\n",
    "match snakemake.wildcards.sample:\n    case 'ggH':\n        mass = mass * tree['mcWeight'].array()\n",
]


@pytest.mark.parametrize("source", IN_A_CASE)
def test_a_branch_that_only_other_jobs_have(source: str) -> None:
    """One script serves data and simulation; what is read for one of them is not in the inputs of the other."""
    read = "tree = uproot.open(snakemake.input[0])['events']\nmass = tree['m_yy'].array()\n"
    candidate = trial(read + source + SAVE, outputs=ONE)
    assert told(found(candidate, holding("m_yy"))) == warning("script.unknown_name")
    of_many = replace(candidate, spec=replace(candidate.spec, wildcards=("sample",)))
    assert found(of_many, holding("m_yy")) == ()
    always = replace(of_many, source=candidate.source.replace("mass = tree['m_yy']", "mass = tree['m_gg']"))
    assert told(found(always, holding("m_yy"))) == error("script.unknown_name")


def test_without_a_look_into_the_inputs_nothing_is_said() -> None:
    source = "mass = uproot.open(snakemake.input[0])['events']['nonsense'].array()\n"
    assert found(trial(source + SAVE, outputs=ONE)) == ()


@pytest.mark.parametrize("note", ["3 of 9 branches are not listed", "2 more arrays were not looked at"])
def test_a_list_that_is_cut_proves_nothing(note: str) -> None:
    source = "mass = uproot.open(snakemake.input[0])['events']['nonsense'].array()\n"
    assert found(trial(source + SAVE, outputs=ONE), holding("m_yy", note=note)) == ()


def test_files_that_cannot_be_described_prove_nothing() -> None:
    source = "mass = uproot.open(snakemake.input[0])['events']['nonsense'].array()\n"

    def broken(path: Path) -> FileDescription:
        return FileDescription(path=path, format="root", size_bytes=1, opened=False, problem="is cut short")

    def missing(path: Path) -> FileDescription:
        raise FileNotFoundError(2, "no such file", str(path))

    for describe in (broken, missing, holding("x", form="json")):
        assert found(trial(source + SAVE, outputs=ONE), describe) == ()


def test_a_name_may_be_in_any_input_and_few_are_described() -> None:
    described: list[Path] = []

    def describe(path: Path) -> FileDescription:
        described.append(path)
        names = ("events", "only_here") if path.name == "f7.root" else ("events",)
        table = Table(name="events", kind="TTree", columns=tuple(Column(name=n, type="f") for n in names))
        return FileDescription(path=path, format="root", size_bytes=1, tables=(table,))

    source = "mass = uproot.open(snakemake.input[7])['events']['{}'].array()\n"
    few = [f"f{k}.root" for k in range(10)]
    assert found(trial(source.format("only_here") + SAVE, inputs=few, outputs=ONE), describe) == ()
    findings = found(trial(source.format("nowhere") + SAVE, inputs=few, outputs=ONE), describe)
    assert told(findings) == error("script.unknown_name")
    described.clear()
    many = [f"f{k}.root" for k in range(10, 100)]
    findings = found(trial(source.format("nowhere") + SAVE, inputs=many, outputs=ONE), describe)
    assert told(findings) == warning("script.unknown_name")
    assert len(described) == 20
    described.clear()
    assert found(trial("mass = []\n" + SAVE, inputs=many, outputs=ONE), describe) == ()
    assert described == []
