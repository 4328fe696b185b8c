"""`hiercls export`: stored rows in Cohen's format; against radii taken from the rows by hand, and the report."""

import json
from pathlib import Path

import pytest
from run_toys import smoothed

from hiercls.cli.main import main
from hiercls.verbs.report import findings
from hiercls.verbs.reporting.machine import as_json
from hiercls.whole.runs import open_run
from hiercls.wiring.registry import Registry
from hiercls_plugins.smoothing.cohen_log import ABSTAINED, parse, read, render

SMOOTHED = smoothed(0.5, 6, "draws: 200, select: 20", 60)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one certified run."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "smoothed.yaml").write_text(SMOOTHED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for verb in ("train", "certify"):
            with pytest.raises(SystemExit) as ended:
                main([verb, "smoothed.yaml"])
            assert not ended.value.code
    return folder


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def recipe(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """The recipe under another name, changed."""
    text = SMOOTHED.replace("name: smoothed", f"name: {name}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.yaml").write_text(text)
    return f"{name}.yaml"


def stored(folder: Path, kind: str) -> dict[str, list[dict]]:
    parts = (folder / "runs" / "smoothed" / kind).glob("*/part-*.jsonl")
    found: dict[str, list[dict]] = {}
    for part in parts:
        found.setdefault(part.parent.name, []).extend(map(json.loads, part.read_text().splitlines()))
    return found


def exported(capsys: pytest.CaptureFixture[str], *words: str):
    assert call(capsys, "export", "smoothed.yaml", "--output", "log.tsv", *words)[0] == 0
    return read(Path("log.tsv"))


# --- what a line says -----------------------------------------------------------------------------


def test_the_flat_baseline_is_its_rows_as_they_are_stored(here, capsys):
    """A flat row says all of it: the child is the label, its own radius that of the answer."""
    entries = exported(capsys, "--system", "flat")
    (proofs,) = stored(here, "proofs").values()
    flat = {}
    for row in proofs:
        for each in row["rows"]:
            if len(each["radii"]) == 10:
                flat[row["index"]] = (each["chosen"], each["own"])
    assert len(flat) > 50
    for entry in entries:
        answer, own = flat.get(entry.index, (ABSTAINED, 0.0))
        assert entry.radius == own
        assert entry.predict == (answer if own > 0 else ABSTAINED)
    assert [entry.index for entry in entries] == sorted(
        row["index"] for row in next(iter(stored(here, "paths").values()))
    )
    assert len(entries) == 60


def test_the_tree_has_the_smallest_radius_of_each_path(here, capsys):
    """All rows of an input that are not the flat baseline's are those of its path in the tree."""
    (proofs,) = stored(here, "proofs").values()
    smallest = {}
    for row in proofs:
        own = [each["own"] for each in row["rows"] if len(each["radii"]) < 10]
        smallest[row["index"]] = min(own)
    entries = exported(capsys)
    answered = [entry for entry in entries if entry.predict != ABSTAINED]
    assert 0 < len(answered) < len(entries), "some inputs abstain and some do not"
    assert [entry.radius for entry in answered] == [smallest[entry.index] for entry in answered]
    assert all(entry.radius > 0 for entry in answered)


def test_labels_and_places_are_those_of_the_test_split(here, capsys):
    run = open_run(here / "smoothed.yaml", Registry.load(), root=here / "runs")
    entries = exported(capsys)
    assert [entry.label for entry in entries] == [int(run.data.test.truth[entry.index]) for entry in entries]


def test_an_own_radius_of_0_anywhere_on_the_path_is_an_abstention(here, capsys):
    (proofs,) = stored(here, "proofs").values()
    unproved = {
        row["index"] for row in proofs if any(each["own"] == 0 for each in row["rows"] if len(each["radii"]) < 10)
    }
    entries = {entry.index: entry for entry in exported(capsys)}
    assert unproved
    assert all(entries[index].predict == ABSTAINED and entries[index].radius == 0 for index in unproved)


@pytest.mark.parametrize("system", ["tree", "flat"])
def test_analyse_reads_what_the_report_says(here, capsys, system):
    exported(capsys, "--system", system)
    _, out, _ = call(capsys, "analyse", "log.tsv", "--radii", "0.25", "--alpha", "0.001", "--json")
    (found,) = json.loads(out)["logs"]
    run = open_run(here / "smoothed.yaml", Registry.load(), root=here / "runs")
    tables = as_json(findings(run))["tables"]
    (radii,) = [row for row in tables["radii"] if row["system"] == system and row["answer stays"] == "the label"]
    assert found["average_radius"] == pytest.approx(radii["mean radius × right"], rel=1e-12)
    (shares,) = [row for row in tables["budgets"] if row["system"] == system and row["adversary"] != 0.0]
    right = next(value for name, value in shares.items() if "label" in name)
    assert found["table"][0]["accuracy"] == pytest.approx(right, rel=1e-12)


# --- times ----------------------------------------------------------------------------------------


def test_times_are_those_of_the_rows_in_both_notations(here, capsys):
    (proofs,) = stored(here, "proofs").values()
    seconds = {row["index"]: row["seconds"] for row in proofs}
    assert all(value > 0 for value in seconds.values())
    for notation in ("clock", "seconds"):
        entries = exported(capsys, "--time", notation, "--system", "flat")
        assert [entry.seconds for entry in entries] == [seconds[entry.index] for entry in entries]
        assert (Path("log.tsv").read_text().splitlines()[1].count(":") == 2) == (notation == "clock")


def test_rows_that_tell_no_time_are_written_without_one(here, capsys):
    part = next((here / "runs" / "smoothed" / "proofs").glob("*/part-*.jsonl"))
    kept = part.read_text()
    first = json.loads(kept.splitlines()[0])
    del first["seconds"]
    part.write_text("\n".join([json.dumps(first), *kept.splitlines()[1:]]) + "\n")
    try:
        code, out, _ = call(capsys, "export", "smoothed.yaml", "--output", "log.tsv")
    finally:
        part.write_text(kept)
    assert code == 0
    assert "1 inputs were certified before times were kept; theirs are left empty" in out
    assert [entry.index for entry in read(Path("log.tsv")) if entry.seconds is None] == [first["index"]]
    assert call(capsys, "analyse", "log.tsv")[0] == 0


def test_an_unknown_time_is_an_empty_cell():
    line = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n3\t1\t1\t0.5\t1\t\n"
    (entry,) = parse(line, "log")
    assert entry.seconds is None
    assert render([entry]) == render([entry], "seconds") == line


# --- what is told, and what is refused ------------------------------------------------------------


def test_what_the_log_cannot_say_is_told(here, capsys):
    code, out, _ = call(capsys, "export", "runs/smoothed", "--output", "log.tsv")
    assert code == 0
    assert "log.tsv: 60 of 60 inputs of tree, " in out
    assert "l2 radii at alpha 0.001, sigma 0.5, 200 draws" in out
    _, out, _ = call(capsys, "export", "smoothed.yaml", "--output", "log.tsv", "--system", "flat", "--json")
    told = json.loads(out)
    assert (told["system"], told["inputs"], told["alpha"], told["sigma"]) == ("flat", 60, 0.001, [0.5])
    assert told["abstained"] == sum(entry.predict == ABSTAINED for entry in read(Path("log.tsv")))


def test_an_unknown_system_is_refused_with_those_that_are_there(here, capsys):
    code, out, error = call(capsys, "export", "smoothed.yaml", "--output", "none.tsv", "--system", "flt")
    assert (code, out) == (2, "")
    assert error == "--system: found 'flt'; this run has tree, flat\n"
    assert not Path("none.tsv").exists()


def test_a_run_without_rows_is_refused(here, capsys):
    name = recipe(here, "later")
    code, _, error = call(capsys, "export", name, "--output", "none.tsv")
    assert code == 2
    assert "is not trained yet; run `hiercls train` first" in error
    call(capsys, "train", name)
    code, _, error = call(capsys, "export", name, "--output", "none.tsv")
    assert code == 2
    assert "nothing is certified yet; run `hiercls certify` first" in error
    assert not Path("none.tsv").exists()


def test_inputs_that_are_not_finished_have_no_line(here, capsys):
    name = recipe(here, "partly")
    call(capsys, "train", name)
    call(capsys, "certify", name, "--inputs", "7")
    code, out, _ = call(capsys, "export", name, "--output", "part.tsv")
    assert code == 0
    assert "part.tsv: 7 of 60 inputs of tree" in out
    assert len(read(Path("part.tsv"))) == 7


EARLY = "draws: 200, stop: {%s}"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "linf",
            [("norm: l2", "norm: linf")],
            "tree: a log in Cohen's format holds l2 radii, and the threat of this ",
        ),
        ("grid", [("draws: 200", EARLY % "grid: {radii: [0.25]}")], "tree: node 'root' stops drawing early; "),
        ("tolerance", [("draws: 200", EARLY % "tolerance: 0.1")], "tree: node 'root' stops drawing early; "),
        (
            "bare",
            [("all: {restrict: flat}", "all: {restrict: flat}, high: {certifier: none}")],
            "tree: node 'high' is not certified; a log in Cohen's format holds smoothed radii (--system flat can be ",
        ),
        (
            "bounds",
            [
                (
                    "draws: 200, select: 20, tile: 100}}",
                    "draws: 200, select: 20, tile: 100}}\n  lines: "
                    "{architecture: linear, trainer: standard, certifier: exact-linear}",
                ),
                ("baseline: flat", "baseline: lines"),
                ("all: {restrict: flat}", "all: {restrict: lines}"),
            ],
            "tree: node 'root' is certified by ExactLinear; a log in Cohen's format holds smoothed radii\n",
        ),
    ],
)
def test_what_readers_of_a_log_would_misread_is_refused(here, capsys, name, changes, message):
    path = recipe(here, name, *changes)
    assert call(capsys, "train", path)[0] == 0
    code, out, error = call(capsys, "export", path, "--output", "none.tsv")
    assert (code, out) == (2, "")
    assert message in error
    assert not Path("none.tsv").exists()


def test_a_folder_that_cannot_be_written_is_an_error_of_files(here, capsys):
    Path("in-the-way").write_text("")
    code, _, error = call(capsys, "export", "smoothed.yaml", "--output", "in-the-way/log.tsv")
    assert code == 3
    assert "in-the-way/log.tsv: cannot be written" in error
