"""`hiercls analyse`: logs in, tables out; against counts made by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hiercls.cli.main import main

HEAD = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
RIGHT = (0.9, 0.8, 0.6, 0.5, 0.5, 0.3, 0.2)
"""Radii of the right answers; a wrong one with radius 0.7 and two abstentions follow."""


def line(index: int, predict: int, radius: float) -> str:
    return f"{index}\t1\t{predict}\t{radius!r}\t{int(predict == 1)}\t0:00:13.736080\n"


def log(*right: float) -> str:
    rows = [(1, radius) for radius in right] + [(2, 0.7), (-1, 0.0), (-1, 0.0)]
    return HEAD + "".join(line(index, *row) for index, row in enumerate(rows))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ten.tsv").write_text(log(*RIGHT))
    (tmp_path / "capped.tsv").write_text(log(*[0.978] * 20))
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["analyse", *words])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def only(out: str) -> dict:
    (found,) = json.loads(out)["logs"]
    return found


def rows(out: str) -> list[list[str]]:
    lines = out.splitlines()
    start = next(k for k, text in enumerate(lines) if text.split()[:1] == ["radius"])
    return [text.split() for text in lines[start + 1 :]]


def test_a_log_of_ten_inputs_is_counted(here, capsys):
    code, out, _ = call(capsys, "ten.tsv", "--json", "--radii", "0,0.5,0.50001,2")
    found = only(out)
    assert code == 0
    assert (found["file"], found["inputs"], found["abstained"]) == ("ten.tsv", 10, 2)
    assert found["average_radius"] == pytest.approx(sum(RIGHT) / 10)
    assert [(row["radius"], row["accuracy"]) for row in found["table"]] == [
        (0, 0.7),
        (0.5, 0.5),
        (0.50001, 0.3),
        (2, 0),
    ]


def test_the_bound_takes_off_the_failures_of_a_known_alpha(here, capsys):
    """Of 10 certificates at alpha 0.01, more than 2 fail with probability 1.1e-4, more than 1 with 4.3e-3."""
    for rho, lost in (("0.001", 0.2), ("0.01", 0.1), ("0.1", 0.0)):
        found = only(call(capsys, "ten.tsv", "--json", "--alpha", "0.01", "--rho", rho, "--radii", "0,0.8,2")[1])
        bounds = [row["at_least"] for row in found["table"]]
        assert bounds == pytest.approx([0.7 - lost, max(0.2 - lost, 0), 0], abs=1e-12)
        assert (found["alpha"], found["rho"]) == (0.01, float(rho))


def test_a_person_reads_the_same_and_no_share_is_rounded_up(here, capsys):
    (here / "thirds.tsv").write_text(log(*[0.3] * 4, *[0.1] * 2))
    code, out, error = call(capsys, "thirds.tsv", "--alpha", "0.01", "--radii", "0.1,0.3")
    assert (code, error) == (0, "")
    assert rows(out) == [["0.1", "66.6%", "44.4%"], ["0.3", "44.4%", "22.2%"]]
    assert "thirds.tsv: 9 inputs, 2 abstained" in out
    assert "average certified radius 0.1555," in out
    assert "at alpha 0.01; each bound fails with probability 0.001" in out


def test_alpha_is_detected_told_with_its_reason_and_used(here, capsys):
    """0.978 is the cap of alpha 0.01 at sigma 0.25 and 100,000 draws."""
    found = only(call(capsys, "capped.tsv", "--sigma", "0.25", "--json", "--radii", "0.9")[1])
    assert found["alpha"] == found["detected"]["value"] == 0.01
    assert found["detected"]["reason"] == "alpha is 0.01: 20 inputs share its cap, 0.978"
    assert found["table"][0]["at_least"] == pytest.approx((20 - 3) / 23)
    assert "alpha is 0.01: 20 inputs share its cap, 0.978\n" in call(capsys, "capped.tsv", "--sigma", "0.25")[1]


def test_other_draws_have_another_cap(here, capsys):
    """At 1,000 draws nothing above 0.654 can be certified at alpha 0.01: 0.978 needs one of at least 0.95."""
    found = only(call(capsys, "capped.tsv", "--sigma", "0.25", "--draws", "1000", "--json")[1])
    assert found["alpha"] is None
    assert "impossible with sigma 0.25 and 1000 draws" in found["detected"]["reason"]


def test_without_an_alpha_there_is_no_bound_and_it_is_said(here, capsys):
    code, out, _ = call(capsys, "ten.tsv", "--radii", "0")
    assert code == 0
    assert rows(out) == [["0", "70.0%"]]
    assert "without an alpha there is no bound on the accuracy; give --alpha" in out
    assert only(call(capsys, "ten.tsv", "--json")[1])["table"][0]["at_least"] is None


def test_radii_that_alpha_does_not_allow_are_an_error(here, capsys):
    code, out, error = call(capsys, "capped.tsv", "--sigma", "0.25", "--alpha", "0.001")
    assert (code, out) == (2, "")
    assert "capped.tsv: its largest radius needs an alpha of at least 0.0099 at sigma 0.25 and 100,000 draws" in error
    assert only(call(capsys, "capped.tsv", "--sigma", "0.25", "--alpha", "0.02", "--json")[1])["alpha"] == 0.02


def test_the_table_goes_to_the_largest_radius_in_steps_of_a_quarter(here, capsys):
    found = json.loads(call(capsys, "ten.tsv", "capped.tsv", "--json")[1])["logs"]
    assert [row["radius"] for row in found[0]["table"]] == [0, 0.25, 0.5, 0.75]
    assert [each["file"] for each in found] == ["ten.tsv", "capped.tsv"]
    assert call(capsys, "ten.tsv", "capped.tsv")[1].count("average certified radius") == 2


def test_radii_come_out_ascending_and_once(here, capsys):
    found = only(call(capsys, "ten.tsv", "--json", "--radii", "0.5, 0.25,0.5,1e-1")[1])
    assert [row["radius"] for row in found["table"]] == [0.1, 0.25, 0.5]


def test_a_log_without_certificates_is_a_log(here, capsys):
    (here / "none.tsv").write_text(HEAD + line(0, -1, 0.0))
    code, out, _ = call(capsys, "none.tsv", "--sigma", "0.5")
    assert code == 0
    assert "alpha cannot be told: no input is certified" in out
    assert rows(out) == [["0", "0.0%"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--radii", "0,x"], "'x' is not a radius; write them as in 0,0.25,0.5"),
        (["--radii", "0,,1"], "'' is not a radius"),
        (["--radii", "-1"], "'-1' is not a radius"),
        (["--radii", "inf"], "'inf' is not a radius"),
        (["--radii", "nan"], "'nan' is not a radius"),
        (["--sigma", "0"], "'0' is not a number above 0"),
        (["--sigma", "nan"], "'nan' is not a number above 0"),
        (["--sigma", "inf"], "'inf' is not a number above 0"),
        (["--alpha", "1"], "'1' is not a number between 0 and 1"),
        (["--rho", "nan"], "'nan' is not a number between 0 and 1"),
        (["--draws", "1000"], "--draws serves to detect alpha; give --sigma too"),
    ],
)
def test_options_that_mean_nothing_are_refused(here, capsys, words, message):
    code, out, error = call(capsys, "ten.tsv", *words)
    assert (code, out) == (2, "")
    assert message in error


def test_a_file_that_is_no_log_is_an_error_of_files(here, capsys):
    (here / "broken.tsv").write_text(log(0.5).replace("0.5", "big"))
    code, out, error = call(capsys, "ten.tsv", "broken.tsv")
    assert (code, out, error) == (3, "", "broken.tsv:2: radius 'big' is not a number\n")
    code, _, error = call(capsys, "missing.tsv")
    assert code == 3
    assert "missing.tsv: cannot be read" in error
    assert call(capsys)[0] == 2


def test_nothing_of_it_imports_torch(here):
    code = (
        "import sys; from hiercls.cli.main import app; "
        "app.main(['analyse', 'ten.tsv', '--sigma', '1', '--alpha', '0.01'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_help_names_it_without_importing_scipy(here):
    code = (
        "import sys; from hiercls.cli.main import app; "
        "app.main(['--help'], standalone_mode=False); sys.exit('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "analyse" in done.stdout
    assert "Tables of logs in Cohen's format." in done.stdout
