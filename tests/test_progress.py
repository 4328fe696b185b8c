"""How far, how fast, how long still: what is told while work goes on."""

import pytest
from run_toys import MIXED

from hiercls.cli.progress import TerminalProgress, clock
from hiercls.verbs.audit import audit
from hiercls.verbs.certify import certify
from hiercls.verbs.running import _Pace
from hiercls.verbs.train import train


def test_progress_goes_to_stderr_with_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    progress(1, 4, network="flat", loss=0.5, eta=75.0)
    progress(2, 4, network="flat", loss=0.4)
    progress(4, 4, network="flat", loss=0.25)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "flat · 1 of 4 · loss 0.5 · 1:15 left",
        "flat · 4 of 4 · loss 0.25",
    ]
    progress(1, 1, verb="certify", **{"certified at 0.25": 8 / 15})
    assert capsys.readouterr().err == "certify · 1 of 1 · certified at 0.25 53.33%\n"
    assert clock(59.6) == "1:00"


def test_proofs_that_come_in_batches_tell_a_time_left_of_whole_batches():
    pace, left = _Pace(12, 0.0), []
    for done in range(1, 13):
        pace.passed(done, 10.0 * ((done + 3) // 4))  # four at once after 10 s each
        left.append(pace.left)
    assert left == [0, 0, 0, 0, *[10 * 7 / 4] * 4, *[10 * 3 / 4] * 4]


def test_proofs_that_come_one_by_one_tell_it_from_the_second_on():
    pace, left = _Pace(4, 0.0), []
    for done in range(1, 5):
        pace.passed(done, 10.0 * done)
        left.append(pace.left)
    assert left == [0, 20, 10, 0]


def test_an_audit_tells_how_many_radii_it_has_attacked(opened):
    run, told = opened(MIXED), []
    train(run)
    certify(run)
    result = audit(run, progress=lambda done, total, **facts: told.append((facts.get("system"), done, total)))
    for name, system in result["systems"].items():
        steps = [(done, total) for each, done, total in told if each == name]
        assert steps[-1] == (system["radii"], system["radii"])
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
