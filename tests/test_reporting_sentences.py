"""What the report says in words: its headline, its verdicts, its doubts and its explanations."""

import io
from dataclasses import replace

import torch
from reporting_toys import AUDIT, FACT, LABELS, SCOPE, Page, findings, node, rich_findings

from hiercls.values.certificates import NodeCertificates
from hiercls.values.compose import compose
from hiercls.values.labels import flat_tree
from hiercls.verbs.report import collapsed
from hiercls.verbs.reporting import summaries, tables
from hiercls.verbs.reporting.findings import System
from hiercls.verbs.reporting.headline import elaboration, headline
from hiercls.verbs.reporting.page import write_report
from hiercls.verbs.reporting.terminal import terminal_tables


def test_the_headline_is_the_main_table_in_words():
    found = findings()
    group, label = tables.budgets_table(found).rows[2][2], tables.budgets_table(found).rows[2][4]
    assert headline(found) == (
        f"Certified: under any ℓ∞ perturbation up to 0.125, {group.shown} of 60 inputs stay in the right group, "
        f"and {label.shown} keep the right label."
    )


def test_a_broken_certificate_is_called_broken():
    assert "no certificate is broken" in summaries.audit_verdict(rich_findings())
    hidden = rich_findings(audit=AUDIT | {"broken": "flat"})
    assert summaries.audit_verdict(hidden).endswith("certificates are broken: flat.")
    assert summaries.audit_verdict(findings()).startswith("No audit was run")


def printed(found, width):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO())
    for table in terminal_tables(found):
        console.print(table)
    return console.file.getvalue()


def test_a_node_of_many_labels_is_shown_short_and_kept_whole():
    found = findings()
    fact = replace(FACT, name="[a, b, c, d]", short_name="[a, b, … 4 labels]")
    tree = replace(found.systems[0], nodes=(fact,))
    shown = tables.nodes_table(replace(found, systems=(tree,)))
    assert shown.rows[0][1].shown == "[a, b, … 4 labels]"
    assert "[a, b, c, d]" in shown.csv()


def test_a_mask_in_reach_leaves_nothing_to_promise(tmp_path):
    found = rich_findings(mask_in_reach="camera")
    nothing = "nothing: the adversary can change camera, which gives the allowed labels"
    assert [row[5].shown for row in tables.nodes_table(found).rows] == [nothing]
    assert FACT.guarantee() == "the adversary cannot touch lidar: infinite"
    assert headline(found) == ("Nothing is certified: the adversary can change camera, which gives the allowed labels.")
    assert "At that budget" not in elaboration(found)
    words = "".join(Page(write_report(found, tmp_path).read_text()).words)
    assert nothing in words
    assert "infinite" not in words.replace("radius infinite", "")


def test_clean_figures_say_how_they_differ_from_the_main_table(tmp_path):
    page = " ".join(Page(write_report(rich_findings(), tmp_path).read_text()).words)
    for shown in (page, " ".join(printed(rich_findings(), 400).split())):
        assert "Clean, as deployed" in shown
        assert "an abstaining answer is a set of labels, counted as not right" in shown


def test_doubts_about_the_audit_stand_beside_its_verdict(tmp_path):
    doubts = ["The audit caught 3 of 10 inflated radii.", "flat tolerates 5 flips on 4 inputs."]
    found = rich_findings(audit=AUDIT | {"warnings": doubts})
    assert [row[0].value for row in summaries.audit_table(found).rows] == list(AUDIT)
    page = "".join(Page(write_report(found, tmp_path).read_text()).words)
    shown = printed(found, 400)
    for sentence in (*doubts, summaries.audit_verdict(found)):
        assert sentence in page
        assert sentence in shown
    assert 'class="doubt"' not in write_report(rich_findings(), tmp_path).read_text()


def test_every_hard_column_is_explained_where_it_is_shown(tmp_path):
    page = "".join(Page(write_report(findings(), tmp_path).read_text()).words)
    shown = printed(findings(), 240)
    for name in ("|S(r)|: ", "truth in S(r): ", "information gain: the mean of 1 - ln|S(r)|/ln L"):
        assert name in page
        assert name in shown


def test_a_node_with_one_answer_for_all_is_told_of():
    tree, count = flat_tree(LABELS), 40
    children = tree.children(tree.root)
    radii, own = torch.zeros(count, len(LABELS), dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    dogs, truth = torch.full((count,), children.index(node(1))), torch.arange(count) % 5

    def told(chosen, truth):
        rows = NodeCertificates(children, chosen, own, radii, 0.0, SCOPE)
        return list(collapsed(System("flat", compose(tree, {tree.root: rows}), truth)))

    (sentence,) = told(dogs, truth)
    assert "answers dog on all 40 inputs that reach it, 32 of which are others" in sentence
    assert told(dogs, torch.ones(count, dtype=torch.int64)) == []
    mixed = dogs.clone()
    mixed[0] = children.index(node(0))
    assert told(mixed, truth) == []
