"""The main job in one word: train, evaluate, certify, audit, report."""

from pathlib import Path

from hiercls.contracts.context import Progress, silent
from hiercls.verbs.audit import audit
from hiercls.verbs.certify import certify
from hiercls.verbs.evaluate import evaluate
from hiercls.verbs.report import report
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.train import train
from hiercls.whole.runs import Run
from hiercls.words.errors import CertificateBroken


def run_all(run: Run, workers: int = 1, progress: Progress = silent) -> tuple[Findings, Path]:
    """Do everything that is not done yet; a report is written even where the audit breaks a certificate.

    Raises:
        CertificateBroken: after the report is written.
    """
    train(run, workers=workers, progress=progress)
    evaluate(run, progress=progress)
    certify(run, workers=workers, progress=progress)
    broken = None
    try:
        audit(run, progress=progress)
    except CertificateBroken as error:
        broken = error
    written = report(run)
    if broken is not None:
        raise broken
    return written
