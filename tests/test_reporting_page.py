"""The page of the report is well formed, loads nothing, and says nothing of what is not there."""

from reporting_toys import LABELS, Page, findings, rich_findings

from hiercls.verbs.reporting.headline import headline
from hiercls.verbs.reporting.page import write_report
from hiercls.verbs.reporting.terminal import terminal_tables


def test_the_page_is_well_formed_names_every_label_and_loads_nothing(tmp_path):
    text = write_report(rich_findings(), tmp_path).read_text()
    page = Page(text)
    words = "".join(page.words)
    assert all(label in words for label in LABELS)
    assert "mind the <gap>" in words
    assert "60 inputs" in words
    assert not page.names & {"script", "link", "img", "iframe", "object", "embed", "image", "use", "b", "gap"}
    assert not {"src", "href", "xlink:href", "srcset", "data", "onload"} & {name for name, _ in page.attributes}
    assert not [value for name, value in page.attributes if name != "xmlns" and "://" in (value or "")]
    style = text[text.index("<style>") : text.index("</style>")]
    assert not any(sign in style for sign in ("url(", "@import", "http"))


def test_the_same_findings_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_report(rich_findings(), tmp_path / name)
    ours = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.*")}
    assert len(ours) > 10
    assert all((tmp_path / "two" / name).read_bytes() == found for name, found in ours.items())


def test_without_inputs_nothing_is_said_of_certificates(tmp_path):
    found = rich_findings(count=0)
    page = Page(write_report(found, tmp_path).read_text())
    assert headline(found) == "No input was certified."
    assert "excluded for every input" not in "".join(page.words)
    assert not (tmp_path / "tables" / "budgets.csv").exists()
    assert len(terminal_tables(found)) == 4


def test_without_budgets_radii_are_still_reported(tmp_path):
    found = findings(budgets=())
    words = "".join(Page(write_report(found, tmp_path).read_text()).words)
    assert "the answer keeps its level 1 group within a mean radius of" in words
    assert "median R(label | x)" in words
