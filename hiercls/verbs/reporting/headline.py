"""What a run shows, in one sentence and the one after it."""

from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Outcome, Tier, mean, tiers
from hiercls.verbs.reporting.rounding import alpha_text, budget_text, norm_text, rounded_down, rounded_up


def headline(findings: Findings) -> str:
    """The first system's guarantee at the first budget."""
    if not len(findings):
        return "No input was certified."
    if findings.mask_in_reach is not None:
        return (
            f"Nothing is certified: the adversary can change {findings.mask_in_reach}, which gives the allowed labels."
        )
    own = tiers(findings.systems[0], findings.tree)
    alpha = max(tier.radius.alpha for tier in own)
    opening = f"Certified at α {alpha_text(alpha)}" if alpha else "Certified"
    if not findings.threat.budgets:
        return f"{opening}: {_without_budget(own[0])} on {len(findings):,} inputs."
    budget = findings.threat.budgets[0]
    attack = f"under any {norm_text(findings.threat.norm)} perturbation up to {budget_text(budget)}"
    return f"{opening}: {attack}, {_kept(own, budget, f' of {len(findings):,} inputs')}."


def _without_budget(tier: Tier) -> str:
    radii = tier.radius.values
    place = "the label" if tier.level is None else "its level 1 group"
    return f"the answer keeps {place} within a mean radius of {rounded_down(mean(radii[radii.isfinite()]))}"


def _kept(own: tuple[Tier, ...], budget: float, inputs: str) -> str:
    label = own[-1].certified(budget).down()
    if len(own) == 1:
        return f"{label}{inputs} keep the right label"
    return f"{own[0].certified(budget).down()}{inputs} stay in the right group, and {label} keep the right label"


def elaboration(findings: Findings) -> str:
    """Clean accuracy, what the attacker is left with, and the baselines beside it."""
    if not len(findings):
        return ""
    first = findings.systems[0]
    said = [f"Without an adversary {tiers(first, findings.tree)[-1].clean().nearest()} are labelled right."]
    if findings.threat.budgets and findings.mask_in_reach is None:
        labels = len(findings.tree.labels)
        said.append(f"At that budget {_left(findings, first)} of {labels} labels remain possible on average.")
        said += [_baseline(findings, system) for system in findings.systems[1:]]
    return " ".join(said)


def _left(findings: Findings, system: System) -> str:
    return rounded_up(Outcome(system, findings.threat.budgets[0]).mean_size())


def _baseline(findings: Findings, system: System) -> str:
    own, budget = tiers(system, findings.tree), findings.threat.budgets[0]
    clean = own[-1].clean().nearest()
    kept = _kept(own, budget, "")
    return f"Baseline {system.name}: {kept}; {_left(findings, system)} labels remain possible; {clean} clean."


def adversary_sentence(findings: Findings) -> str:
    """The threat in words."""
    threat = findings.threat
    budgets = " or ".join(budget_text(budget) for budget in threat.budgets)
    limit = (
        f"by at most {budgets} in {norm_text(threat.norm)}"
        if budgets
        else f"in {norm_text(threat.norm)}, no budget set"
    )
    place = f"inside {threat.domain}" if threat.domain.bounded else "without a bound on its entries"
    return f"The adversary perturbs the view {threat.view} {limit}, {place}."
