"""The report says what the raw radii say, rounds towards caution, and loads nothing."""

import csv
import io
import json
import math
from html.parser import HTMLParser

import pytest
import torch

from hiercls.values.certificates import NodeCertificates, Scope, out_of_reach
from hiercls.values.compose import compose
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import flat_tree, grow
from hiercls.verbs.report import collapsed
from hiercls.verbs.reporting import confusions, figures, heatmaps, rounding, summaries, tables, terminal
from hiercls.verbs.reporting.findings import Findings, NodeFact, System
from hiercls.verbs.reporting.headline import elaboration, headline
from hiercls.verbs.reporting.machine import as_json
from hiercls.verbs.reporting.measures import tiers
from hiercls.verbs.reporting.page import write_report
from hiercls.verbs.reporting.rounding import Share
from hiercls.verbs.reporting.terminal import terminal_tables
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2, LINF
from hiercls.words.threats import Domain, Threat

SCOPE = Scope(LINF, "image", Domain())
LABELS = ("cat", "dog", "ship", "truck", "<b>&amp;")
BUDGETS = (0.125, 0.5)


def node(*labels):
    return frozenset(labels)


def uneven_tree():
    """root -> {pets -> {cat, dog}, rest -> {vehicles -> {ship, truck}, <b>&amp;}}."""
    children = {
        node(0, 1, 2, 3, 4): [node(0, 1), node(2, 3, 4)],
        node(0, 1): [node(0), node(1)],
        node(2, 3, 4): [node(2, 3), node(4)],
        node(2, 3): [node(2), node(3)],
    }
    return grow(LABELS, children, {node(0, 1): "pets", node(2, 3): "vehicles"})


def certify(tree, count, seed, alpha=0.0):
    """Random rows on a tree: decisions, abstentions, zeros, infinities; radii are multiples of 1/16."""
    generator = torch.Generator().manual_seed(seed)
    reached = {tree.root: torch.ones(count, dtype=torch.bool)}
    rows = {}
    for here in tree.decisions:
        children = tree.children(here)
        chosen = torch.randint(0, len(children), (count,), generator=generator)
        chosen[torch.rand(count, generator=generator) < 0.15] = ABSTAIN
        chosen = torch.where(reached[here], chosen, UNREACHED)
        radii = torch.randint(0, 12, (count, len(children)), generator=generator).double() / 16
        radii[torch.rand(radii.shape, generator=generator) < 0.1] = torch.inf
        radii[chosen < 0] = 0
        own = torch.zeros(count, dtype=torch.float64)
        for i in range(count):
            if chosen[i] >= 0:
                radii[i, chosen[i]] = 0
                own[i] = min(radii[i, k] for k in range(len(children)) if k != chosen[i])
        rows[here] = NodeCertificates(children, chosen, own, radii, alpha, SCOPE)
        for k, child in enumerate(children):
            reached[child] = chosen == k
    return compose(tree, rows)


def findings(count=60, budgets=BUDGETS, alpha=0.0, **more):
    truth = torch.randint(0, len(LABELS), (count,), generator=torch.Generator().manual_seed(3))
    systems = (
        System("tree", certify(uneven_tree(), count, 1, alpha), truth, (FACT,)),
        System("flat", certify(flat_tree(LABELS), count, 2, alpha), truth),
    )
    given = {"recipe": "name: tiny\n", "environment": {"seed": "0"}, "threat": Threat(LINF, budgets)} | more
    return Findings("tiny", "hiercls run tiny.yaml", systems=systems, **given)


FACT = NodeFact("root", 0, "retrained mlp", None, "lidar", False, 1234, 0.5)


def walk(system, i):
    """The path of one input, straight from the rows: [(node, own radius)], and the answered label set."""
    here, steps = system.tree.root, []
    while system.tree.children(here):
        rows = system.certificates.nodes[here]
        steps.append((here, float(rows.own[i])))
        if rows.chosen[i] < 0:
            break
        here = system.tree.children(here)[rows.chosen[i]]
    return steps, here


def label_radius(system, i, label):
    """R(label | x) from the rows, edge by edge."""
    best, path = 0.0, system.tree.path(node(label))
    for above, child in zip(path, path[1:], strict=False):
        rows = system.certificates.nodes[above]
        best = max(best, float(rows.radii[i, system.tree.children(above).index(child)]))
    return best


def group_of(level, label):
    """The groups of the uneven tree, written out."""
    groups = {1: [node(0, 1), node(2, 3, 4)], 2: [node(0), node(1), node(2, 3), node(4)]}[level]
    return next(group for group in groups if label in group)


def stays(system, i, level):
    """Whether the answer is in the right group, and the radius within which it stays there; level 3 is the label."""
    steps, answer = walk(system, i)
    truth = int(system.truth[i])
    if level == 3:
        own = min(radius for _, radius in steps)
        return answer == node(truth), own if len(answer) == 1 else 0.0
    group = group_of(level, truth)
    if not answer <= group:
        return False, 0.0
    if system.name == "tree":
        return True, min((radius for here, radius in steps if system.tree.level(here) < level), default=math.inf)
    return True, min(label_radius(system, i, label) for label in range(5) if label not in group)


def possible(system, i, budget):
    if budget == 0:
        return set(walk(system, i)[1])
    radii = {label: label_radius(system, i, label) for label in range(5)}
    return {label for label, radius in radii.items() if radius == 0 or radius < budget}


def values(table):
    return [[cell.value for cell in row] for row in table.rows]


def test_the_main_table_is_what_the_raw_radii_say():
    found = findings()
    rows = iter(values(tables.budgets_table(found)))
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            kept = [[stays(system, i, level) for i in range(60)] for level in (1, 2, 3)]
            if budget:
                shares = [sum(right and 0 < radius >= budget for right, radius in level) / 60 for level in kept]
            else:
                shares = [sum(right for right, _ in level) / 60 for level in kept]
            sets = [possible(system, i, budget) for i in range(60)]
            holds = [int(system.truth[i]) in sets[i] for i in range(60)]
            gain = sum(held * (1 - math.log(len(s)) / math.log(5)) for held, s in zip(holds, sets, strict=True)) / 60
            expected = [budget, system.name, *shares, sum(map(len, sets)) / 60, sum(holds) / 60, gain]
            assert next(rows) == pytest.approx(expected)
    assert next(rows, None) is None


def test_every_pair_is_counted_as_the_raw_radii_say():
    found = findings()
    rows = {(row[0], row[1], row[2]): row[3:] for row in values(confusions.pairs_table(found))}
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            for truth, name in enumerate(LABELS):
                here = [i for i in range(60) if system.truth[i] == truth]
                counts = [sum(label in reachable(system, i, budget) for i in here) for label in range(5)]
                assert rows[budget, system.name, name] == [len(here), *counts]


def reachable(system, i, budget):
    """The labels that can be answered; without an adversary those that are."""
    return possible(system, i, budget) if budget else set(system.certificates.members()[i].nonzero().flatten().tolist())


def test_every_pair_of_groups_is_counted_in_the_groups_of_the_tree_for_flat_classifiers_too():
    found = findings()
    rows = {(row[0], row[1], row[2]): row[3:] for row in values(confusions.groups_table(found))}
    groups = {"pets": {0, 1}, "[ship, truck, <b>&amp;]": {2, 3, 4}}
    assert len(rows) == 3 * 2 * 2
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            for name, group in groups.items():
                reached = [reachable(system, i, budget) for i in range(60) if int(system.truth[i]) in group]
                counts = [sum(bool(labels & other) for labels in reached) for other in groups.values()]
                strays = sum(bool(labels - group) for labels in reached)
                assert rows[budget, system.name, name] == [len(reached), *counts, strays]


def test_groups_are_counted_only_where_a_tree_has_some(tmp_path):
    write_report(findings(), tmp_path / "tree")
    assert (tmp_path / "tree" / "tables" / "groups.csv").exists()
    flat = findings()
    flat = Findings("flat", "", "", {}, flat.threat, (flat.systems[1],))
    write_report(flat, tmp_path / "flat")
    assert not (tmp_path / "flat" / "tables" / "groups.csv").exists()


def test_confusions_are_filed_under_the_node_where_paths_part():
    found = findings(budgets=(0.125,))
    tree = found.systems[0]
    rows = {row[1]: (row[3], row[4]) for row in values(confusions.parting_table(found))}
    assert list(rows) == ["anywhere", "root", "pets", "[ship, truck, <b>&amp;]", "vehicles"]
    inside = [(i, label) for i in range(60) for label in ({0, 1} - {int(tree.truth[i])}) if tree.truth[i] < 2]
    share = sum(label in possible(tree, i, 0.125) for i, label in inside) / len(inside)
    assert rows["pets"] == (len(inside), pytest.approx(share))
    assert rows["anywhere"][0] == 60 * 4 == sum(count for name, (count, _) in rows.items() if name != "anywhere")


def test_a_label_without_inputs_proves_nothing_about_its_pairs():
    found = findings(count=6, budgets=(0.5,))
    tree = found.systems[0]
    cases = {truth: [i for i in range(6) if tree.truth[i] == truth] for truth in range(5)}
    hits = [
        (sum(label in possible(tree, i, 0.5) for i in here), len(here))
        for truth, here in cases.items()
        for label in range(5)
        if here and label != truth
    ]
    never, always = sum(hit == 0 for hit, _ in hits), sum(hit == of for hit, of in hits)
    assert 0 < never < always < len(hits) < 20
    said = f"{never} of {len(hits)} ordered pairs of different labels are excluded for every input, and {always} remain"
    assert said in confusions.excluded_pairs(found, 0.5)


def test_the_most_frequent_confusions_come_first():
    shares = [row[5] for row in values(confusions.remaining_table(findings(budgets=(0.5,))))]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == confusions.LISTED
    assert shares[0] > shares[-1]


def test_maps_carry_the_counts_and_the_lower_median_radius():
    found = findings(budgets=(0.5,))
    medians = []
    for system in found.systems:
        possible_map, radius_map = heatmaps.possible_map(found, system, 0.5).svg, heatmaps.radius_map(found, system).svg
        cats = [i for i in range(60) if system.truth[i] == 0]
        for label, name in ((1, "dog"), (2, "ship"), (3, "truck")):
            exposed = sum(label in possible(system, i, 0.5) for i in cats)
            assert f"cat → {name}: {exposed} of {len(cats)} (" in possible_map
            medians.append(sorted(label_radius(system, i, label) for i in cats)[(len(cats) - 1) // 2])
            hint = f"cat → {name}: not within {rounding.rounded_down(medians[-1])}<"
            assert (hint in radius_map) == (medians[-1] > 0)
    assert any(0 < median < math.inf for median in medians)


def test_an_abstaining_answer_is_right_above_and_no_label():
    tree = uneven_tree()
    scope, inf = SCOPE, torch.inf
    root = NodeCertificates(tree.children(tree.root), torch.tensor([0]), *_radii([0.5], [[0.0, 0.5]]), 0.0, scope)
    pets = NodeCertificates(
        tree.children(node(0, 1)), torch.tensor([ABSTAIN]), *_radii([0.0], [[0.0, 0.0]]), 0.0, scope
    )
    system = System("tree", compose(tree, {tree.root: root, node(0, 1): pets}), torch.tensor([1]))
    level_1, level_2, label = tiers(system, tree)
    assert (level_1.clean().count, level_1.certified(0.5).count) == (1, 1)
    assert (level_2.clean().count, label.clean().count) == (0, 0)
    assert (level_2.certified(0.1).count, label.certified(0.1).count) == (0, 0)
    assert inf not in level_2.radius.values


def _radii(own, radii):
    return torch.tensor(own, dtype=torch.float64), torch.tensor(radii, dtype=torch.float64)


def test_radius_zero_is_no_certificate_whatever_the_budget():
    found = findings()
    for tier in tiers(found.systems[0], found.tree):
        claims = tier.holds(0.0)
        assert not bool(claims[tier.radius.values == 0].any())


def test_a_root_out_of_reach_is_infinite_in_numbers_and_words():
    tree, count = uneven_tree(), 4
    chosen = torch.tensor([0, 0, 1, 1])
    root = out_of_reach(tree.children(tree.root), chosen, torch.ones(count, dtype=torch.bool), 0.0, SCOPE)
    truth = torch.tensor([0, 2, 2, 3])
    found = Findings(
        "lidar", "", "", {}, Threat(LINF, (9.0,)), (System("tree", compose(tree, {tree.root: root}), truth, (FACT,)),)
    )
    first = tables.radii_table(found).rows[0]
    assert (first[1].shown, first[3].shown, first[4].shown, first[7].shown) == (
        "in its level 1 group",
        "–",
        "∞",
        "100.0%",
    )
    assert tables.budgets_table(found).rows[1][2].value == 0.75
    assert tables.nodes_table(found).rows[0][5].shown == "the adversary cannot touch lidar: infinite"
    assert figures.curves_table(found).rows[-1][1].value == 0.75


def test_claims_are_rounded_down_and_concessions_up():
    assert (Share(2, 3).down(), Share(2, 3).nearest(), Share(1, 3).up()) == ("66.6%", "66.7%", "33.4%")
    assert (Share(13_333, 20_000).down(), Share(1, 20_000).down(), Share(1, 20_000).up()) == (
        "66.66%",
        "0.00%",
        "0.01%",
    )
    assert (Share(3, 3).down(), Share(0, 3).up(), Share(0, 0).down()) == ("100.0%", "0.0%", "–")
    assert rounding.rounded_down(0.29999) == "0.2999"
    assert rounding.rounded_down(0.3) == "0.3000"
    assert rounding.rounded_down(math.nextafter(0.1, 0)) == "0.0999"
    assert rounding.rounded_down(0.00012399) == "1.2e-4"
    assert (rounding.rounded_down(math.inf), rounding.rounded_down(0.0), rounding.rounded_down(None)) == (
        "∞",
        "0.0000",
        "–",
    )
    assert (rounding.rounded_up(5.201), rounding.rounded_up(5.2)) == ("5.21", "5.20")
    assert (rounding.alpha_text(0.001 / 3), rounding.alpha_text(0.1 + 0.2)) == ("0.000334", "0.3")
    assert (rounding.budget_text(8 / 255), rounding.budget_text(0.2)) == ("8/255", "0.2")


@pytest.mark.parametrize(("count", "total"), [(0, 7), (7, 7), (431, 500), (8602, 10_000)])
def test_intervals_are_clopper_pearson(count, total):
    from statsmodels.stats.proportion import proportion_confint

    assert Share(count, total).interval() == pytest.approx(proportion_confint(count, total, 0.05, "beta"))


def test_every_column_prints_the_level_at_which_it_holds():
    found = findings(alpha=0.001)
    heads = {column.name: column.level for column in tables.budgets_table(found).columns}
    assert heads["right label"] == "path α 0.001"
    assert heads["right group, level 1 (2 groups)"] == "tree: path α 0.001; flat: joint α 0.001"
    assert heads["mean |S(r)|"] == "tree: joint α 0.003; flat: joint α 0.001"
    assert {column.level for column in tables.budgets_table(findings()).columns} == {"", "α 0 (deterministic)"}
    assert (
        tables.budgets_table(found)
        .csv()
        .splitlines()[0]
        .endswith("information gain [tree: joint α 0.003; flat: joint α 0.001]")
    )


def test_all_sampled_proofs_together_lose_the_binomial_quantile():
    def at_most(wrong):
        return sum(math.comb(500, k) * 0.001**k * 0.999 ** (500 - k) for k in range(wrong + 1))

    quantile = next(wrong for wrong in range(500) if at_most(wrong) >= summaries.CONFIDENCE)
    assert summaries.wrong_at_most(500, 0.001) == quantile
    row = summaries.sampled_table(findings(alpha=0.001)).rows[0]
    assert row[6].value == pytest.approx(max(row[4].value - row[5].value / 60, 0))
    assert summaries.sampled_table(findings()).rows == ()


def test_curves_pass_through_the_table_at_every_budget():
    found = findings()
    curve = {row[0].value: [cell.value for cell in row[1:]] for row in figures.curves_table(found).rows}
    main = values(tables.budgets_table(found))
    for k, budget in enumerate(BUDGETS):
        assert curve[budget] == [*main[2 + 2 * k][2:5], *main[3 + 2 * k][2:5]]
    endless = [
        float((tier.correct & tier.radius.values.isinf()).float().mean())
        for s in found.systems
        for tier in tiers(s, found.tree)
    ]
    assert curve[max(curve)] == pytest.approx(endless)


def test_affinity_counts_answers_that_stay_in_a_set():
    found = findings(affinity={"low": node(0, 1, 2), "high": node(2, 3, 4)})
    sets = list(found.affinity.values())
    rows = iter(values(summaries.affinity_table(found)))
    for budget in BUDGETS:
        for system in found.systems:
            inside = [
                [s for s in sets if walk(system, i)[1] <= s and possible(system, i, budget) <= s] for i in range(60)
            ]
            right = [any(int(system.truth[i]) in s for s in inside[i]) for i in range(60)]
            assert next(rows)[3:] == pytest.approx([sum(map(bool, inside)) / 60, sum(right) / 60])


def test_csv_reads_back_the_numbers_in_full(tmp_path):
    found = findings()
    write_report(found, tmp_path)
    for table in (tables.budgets_table(found), figures.curves_table(found), confusions.pairs_table(found)):
        text = (tmp_path / "tables" / f"{table.key}.csv").read_text()
        read = list(csv.reader(io.StringIO(text)))[1:]
        for row, cells in zip(read, table.rows, strict=True):
            assert [type(cell.value)(field) for field, cell in zip(row, cells, strict=True)] == [c.value for c in cells]


class Page(HTMLParser):
    """Checks that elements are closed in order, and keeps words and attributes."""

    EMPTY = {"meta", "br", "hr", "img", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.words = [], set(), [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


AUDIT = {"inputs audited": 100, "breaks": 1, "allowed": 2, "broken": "none", "power": 0.99, "seconds": 12.5}


def rich_findings(**more):
    given = {"audit": AUDIT, "metrics": {"tree": {"error": 0.125}}, "evaluation": {"accuracy": 0.875}}
    given |= {"warnings": ("mind the <gap>",), "affinity": {"low": node(0, 1, 2)}, "alpha": 0.001}
    return findings(**(given | more))


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


def test_the_terminal_shows_the_same_numbers():
    from rich.console import Console

    console = Console(width=240, file=io.StringIO())
    found = rich_findings()
    for table in terminal_tables(found):
        console.print(table)
    shown = console.file.getvalue()
    for row in tables.budgets_table(found).rows:
        assert all(cell.shown in shown for cell in row)
    assert "joint α 0.003" in shown
    assert "60 inputs" in shown


def printed(found, width):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO())
    for table in terminal_tables(found):
        console.print(table)
    return console.file.getvalue()


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


def test_levels_stand_below_a_terminal_table():
    table = tables.budgets_table(findings(alpha=0.001))
    assert terminal.level_lines(table) == (
        "level of right group, level 1 (2 groups) | right group, level 2 (4 groups): "
        "tree: path α 0.001; flat: joint α 0.001",
        "level of right label: path α 0.001",
        "level of mean |S(r)| | truth in S(r) | information gain: tree: joint α 0.003; flat: joint α 0.001",
    )
    assert terminal.level_lines(tables.budgets_table(findings())) == ("level of every claim: α 0 (deterministic)",)
    assert terminal.level_lines(tables.nodes_table(findings())) == ()


def exposed(radii, counts):
    """Findings with a flat system in which label l, other than the truth t, is excluded up to radii[t][l]."""
    truth = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    tree = flat_tree(LABELS[: len(counts)])
    rows = torch.tensor(radii, dtype=torch.float64)[truth]
    order = [next(iter(child)) for child in tree.children(tree.root)]
    chosen = torch.tensor([order.index(label) for label in truth.tolist()])
    rows = rows[:, order]
    others = rows.clone()
    others[torch.arange(len(truth)), chosen] = torch.inf
    certificates = NodeCertificates(tree.children(tree.root), chosen, others.min(dim=1).values, rows, 0.0, SCOPE)
    system = System("flat", compose(tree, {tree.root: certificates}), truth)
    return Findings("ties", "", "", {}, Threat(LINF, (0.5,)), (system,))


def test_tied_confusions_are_counted_not_picked():
    tied = exposed([[0, 0.1, 9], [9, 0, 0.1], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(tied).rows[0][-1].shown == "2 pairs at 100.0%"
    single = exposed([[0, 0.1, 9], [9, 0, 9], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(single).rows[0][-1].shown == "cat → dog, 100.0%"
    none = exposed([[0, 9, 9], [9, 0, 9], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(none).rows[0][-1].shown == "none"


def test_shares_of_one_column_have_one_number_of_decimals():
    found = exposed([[0, 0.1, 9], [0.1, 0, 9], [9, 0.1, 0]], (4, 1500, 4))
    for table, where in (
        (confusions.remaining_table(found), (5, 6)),
        (tables.labels_table(found), (2, 3)),
    ):
        for column in where:
            shown = [row[column].shown for row in table.rows]
            assert len(shown) == 3
            assert all(len(text.split(".")[1]) == len("00%") for text in shown)
    places = {row[4].shown.split(".")[1] for row in confusions.parting_table(findings(count=400)).rows}
    assert {len(decimals) for decimals in places} == {len("00%")}


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


def test_findings_that_do_not_belong_together_are_refused():
    found = findings()
    tree, flat = found.systems
    with pytest.raises(ConfigurationError, match="two systems have one name"):
        Findings("", "", "", {}, found.threat, (tree, tree))
    with pytest.raises(ConfigurationError, match="flat was certified on other inputs or labels than tree"):
        Findings("", "", "", {}, found.threat, (tree, System("flat", flat.certificates, flat.truth.flip(0))))
    with pytest.raises(ConfigurationError, match="tree speaks of linf on image, the threat is l2 on image"):
        Findings("", "", "", {}, Threat(L2), (tree,))
    with pytest.raises(ConfigurationError, match="tree has 60 certified inputs, but 59 true labels"):
        System("tree", tree.certificates, tree.truth[:-1])
    with pytest.raises(ConfigurationError, match="nothing is certified yet"):
        Findings("", "", "", {}, found.threat, ())


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
