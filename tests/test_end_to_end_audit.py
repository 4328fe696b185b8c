"""Audits of whole runs: a planted radius is found, stays found, and is of the networks that are shown."""

import json

import pytest
from run_toys import MIXED, SMOOTHED

from hiercls.verbs.assembly import assembled
from hiercls.verbs.audit import audit
from hiercls.verbs.certify import certify
from hiercls.verbs.power import UNKNOWN
from hiercls.verbs.report import findings
from hiercls.verbs.run import run_all
from hiercls.verbs.train import train
from hiercls.words.errors import CertificateBroken


@pytest.mark.parametrize("text", [MIXED, SMOOTHED])
def test_a_planted_radius_breaks_the_audit(opened, text):
    """Every stored radius of the tree is overstated; the audit says so, and keeps what it found."""
    run = opened(text)
    train(run)
    certify(run)
    audit(run)
    overstate(run)
    for kept_audit in (run.folder / "audit").glob("*/*.json"):
        kept_audit.unlink()
    with pytest.raises(CertificateBroken, match="are broken"):
        audit(run)
    result = json.loads(next((run.folder / "audit").glob("*/*.json")).read_text())
    assert result["systems"]["tree"]["broken"]
    assert result["systems"]["tree"]["flips"]


def test_an_audit_prints_its_power(opened):
    run = opened(MIXED)
    train(run)
    certify(run)
    result = audit(run)
    assert set(result["power"]) == {"flat", "node root"}
    for figures in result["power"].values():
        assert figures["inflated"] == 300
        assert figures["caught"] >= 0.99 * figures["inflated"]


def test_certificates_on_a_grid_are_audited_and_their_power_is_unknown(opened):
    text = SMOOTHED.replace("norm: l2,", "norm: l2, domain: {grid: {levels: 16}},")
    text = text.replace("draws: 1000,", "draws: 1000, noise: grid,").replace("inputs: 25", "inputs: 6")
    run = opened(text.replace("audit: {inputs: 10", "audit: {inputs: 3"))
    train(run)
    certify(run)
    result = audit(run)
    assert result["systems"]["tree"]["radii"] > 0
    assert result["power"] == {"flat": {"caught": 0, "inflated": 0}}
    assert findings(run).audit["power, flat"] == UNKNOWN


def test_a_broken_audit_stays_broken_after_a_weaker_one(opened):
    """The one input that the weaker audit attacks holds; on its own that audit would pass."""
    run = opened(MIXED)
    train(run)
    certify(run)
    overstate(run, but=int(assembled(run).selected[0]))
    weaker = opened(MIXED.replace("steps: 10, restarts: 2", "steps: 1, restarts: 1"))
    assert not audit(weaker, inputs=1)["systems"]["tree"]["broken"]
    for _ in range(2):
        with pytest.raises(CertificateBroken):
            audit(run)
        with pytest.raises(CertificateBroken):
            audit(weaker, inputs=1)
    assert findings(weaker).audit["broken"] != "none"


def test_the_report_shows_no_audit_and_no_evaluation_of_other_networks(opened):
    run_all(opened(MIXED))
    changed = opened(MIXED.replace("standard: {schedule: {epochs: 3}}", "standard: {schedule: {epochs: 1}}"))
    train(changed)
    certify(changed)
    found = findings(changed)
    assert found.audit is None
    assert found.evaluation is None


def test_infinite_radii_are_attacked_too(opened):
    run = opened(MIXED)
    train(run)
    certify(run)
    overstate(run, "inf")
    with pytest.raises(CertificateBroken):
        audit(run)


def overstate(run, radius=5.0, but=None):
    """Put a radius into every stored row, but those of one input, that no network could have."""
    for part in (run.folder / "proofs").glob("*/part-*.jsonl"):
        kept = [json.loads(line) for line in part.read_text().splitlines()]
        for row in kept:
            for each in row["rows"] if row["index"] != but else ():
                each["own"] = radius
                each["radii"] = [0.0 if k == each["chosen"] else radius for k in range(len(each["radii"]))]
        part.write_text("".join(json.dumps(row) + "\n" for row in kept))
