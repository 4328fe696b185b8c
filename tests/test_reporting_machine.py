"""The report for programs, CSV and JSON: its numbers are those of the tables, in full."""

import csv
import io
import json

import torch
from reporting_toys import BUDGETS, LABELS, SCOPE, findings, rich_findings, values

from hiercls.values.certificates import out_of_reach
from hiercls.values.compose import compose
from hiercls.values.labels import flat_tree
from hiercls.verbs.reporting import confusions, figures, tables
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.headline import headline
from hiercls.verbs.reporting.machine import as_json
from hiercls.verbs.reporting.page import write_report
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat


def test_csv_reads_back_the_numbers_in_full(tmp_path):
    found = findings()
    write_report(found, tmp_path)
    for table in (tables.budgets_table(found), figures.curves_table(found), confusions.pairs_table(found)):
        text = (tmp_path / "tables" / f"{table.key}.csv").read_text()
        read = list(csv.reader(io.StringIO(text)))[1:]
        for row, cells in zip(read, table.rows, strict=True):
            assert [type(cell.value)(field) for field, cell in zip(row, cells, strict=True)] == [c.value for c in cells]


def test_the_report_for_programs_is_the_tables_in_full():
    found = rich_findings()
    told = json.loads(json.dumps(as_json(found), allow_nan=False))
    main = tables.budgets_table(found)
    names = [column.name for column in main.columns]
    assert [list(row.values()) for row in told["tables"]["budgets"]] == values(main)
    assert [list(row) for row in told["tables"]["budgets"]] == [names] * len(main.rows)
    assert told["levels"]["budgets"]["right label"] == "path α 0.001"
    assert "adversary" not in told["levels"]["budgets"]
    assert (told["title"], told["headline"], told["inputs"]) == ("tiny", headline(found), 60)
    assert told["threat"] == {
        "norm": "linf",
        "view": "image",
        "budgets": list(BUDGETS),
        "domain": "[0, 1]",
        "mask_in_reach": None,
    }
    assert "inf" in {row["median radius"] for row in as_json(endless())["tables"]["radii"]}


def endless():
    truth = torch.tensor([0, 1])
    tree = flat_tree(LABELS)
    chosen = torch.tensor([0, 1])
    root = out_of_reach(tree.children(tree.root), chosen, torch.ones(2, dtype=torch.bool), 0.0, SCOPE)
    return Findings("", "", "", {}, Threat(LINF), (System("flat", compose(tree, {tree.root: root}), truth),))


def test_a_label_named_like_a_column_keeps_its_numbers():
    truth, labels = torch.tensor([0, 1]), ("inputs", "system")
    tree = flat_tree(labels)
    root = out_of_reach(tree.children(tree.root), truth, torch.ones(2, dtype=torch.bool), 0.0, SCOPE)
    found = Findings("", "", "", {}, Threat(LINF, (1.0,)), (System("flat", compose(tree, {tree.root: root}), truth),))
    first = as_json(found)["tables"]["pairs"][0]
    assert (first["system"], first["inputs"], first["inputs (2)"], first["system (2)"]) == ("flat", 1, 1, 0)
