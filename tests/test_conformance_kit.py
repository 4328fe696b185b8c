"""The conformance kit passes what is right, and catches every fault that it is there to catch."""

import numpy as np
import pytest
import torch
from scipy import stats
from toys import Affine, Climb, HalfSpaces, Loose, Means, Stripes, Unlike, Votes

from hiercls.testing import (
    ArchitectureConformance,
    AttackConformance,
    CertifierConformance,
    DatasetConformance,
    LinearOracle,
    TrainerConformance,
    exact_distance,
)
from hiercls.testing.proofs import most_failures, one_sided_radius
from hiercls.testing.provers import TWO
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import EVERYWHERE, Domain


class TestHalfSpaces(CertifierConformance):
    tight = True
    fault = ""

    def make(self):
        return HalfSpaces(fault=self.fault)


class TestVotes(CertifierConformance):
    sigma, draws = 0.25, 400
    fault = ""

    def make(self):
        return Votes(fault=self.fault)


class TestClimb(AttackConformance):
    norms = (LINF, L2, L1)
    fault = ""

    def make(self):
        return Climb(fault=self.fault)


class TestMeans(TrainerConformance):
    fault = ""

    def make(self):
        return Means(fault=self.fault)

    def network(self):
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, self.parts))


class TestAffine(ArchitectureConformance):
    fault = ""

    def make(self):
        return Affine(fault=self.fault)


class TestStripes(DatasetConformance):
    needs_root = True
    fault = ""

    def make(self):
        return Stripes(fault=self.fault)


CAUGHT = [
    (TestHalfSpaces, "5% too much", "test_no_radius_exceeds_the_exact_one_on_two_classes"),
    (TestHalfSpaces, "5% too much", "test_no_radius_exceeds_the_exact_one_inside_a_box"),
    (TestHalfSpaces, "5% too much", "test_no_radius_exceeds_the_exact_one_where_a_label_is_not_allowed"),
    (TestHalfSpaces, "half", "test_two_classes_are_certified_to_99_percent"),
    (TestHalfSpaces, "batch", "test_the_batch_size_changes_no_row"),
    (TestHalfSpaces, "unseeded", "test_the_same_seed_gives_the_same_rows"),
    (TestHalfSpaces, "unseeded", "test_saved_and_loaded_weights_give_the_same_rows"),
    (TestHalfSpaces, "unseeded", "test_neighbours_change_no_row"),
    (TestHalfSpaces, "never 0", "test_ties_are_not_certified"),
    (TestHalfSpaces, "freezes", "test_the_given_network_stays_as_it_is"),
    (TestHalfSpaces, "negates", "test_the_given_network_stays_as_it_is"),
    (TestHalfSpaces, "hooks", "test_the_given_network_stays_as_it_is"),
    (TestHalfSpaces, "switches mode", "test_the_given_network_stays_as_it_is"),
    (TestHalfSpaces, "follows", "test_what_was_deployed_does_not_follow_the_network"),
    (TestHalfSpaces, "eager", "test_claims_are_pulled_as_they_are_proved"),
    (TestHalfSpaces, "forgets", "test_no_radius_exceeds_the_exact_one_on_two_classes"),
    (TestHalfSpaces, "trusts", "test_a_wrong_claim_is_not_proved"),
    (TestHalfSpaces, "trusts", "test_outputs_that_are_not_finite_support_no_claim"),
    (TestHalfSpaces, "flat scores", "test_scores_can_be_climbed"),
    (TestHalfSpaces, "narrow domain", "test_it_serves_the_threat_it_was_deployed_for"),
    (TestVotes, "no confidence", "test_the_mean_radius_is_the_closed_form_for_its_draws"),
    (TestVotes, "no confidence", "test_no_radius_exceeds_the_exact_one_on_two_classes"),
    (TestVotes, "half", "test_the_mean_radius_is_the_closed_form_for_its_draws"),
    (TestVotes, "never abstains", "test_undecided_votes_abstain"),
    (TestVotes, "one seed", "test_the_same_seed_gives_the_same_rows"),
    (TestClimb, "leaves the ball", "test_it_stays_within_the_budget_and_in_the_domain"),
    (TestClimb, "leaves the ball", "test_it_needs_no_less_than_the_exact_radius"),
    (TestClimb, "leaves the domain", "test_it_stays_within_the_budget_and_in_the_domain"),
    (TestClimb, "ignores the budget", "test_without_a_budget_nothing_moves"),
    (TestClimb, "does nothing", "test_it_finds_what_lies_just_beyond_the_exact_radius"),
    (TestClimb, "unseeded", "test_the_same_seed_gives_the_same_perturbation"),
    (TestClimb, "in place", "test_it_leaves_the_inputs_and_the_network_as_they_are"),
    (TestClimb, "spoils the network", "test_it_leaves_the_inputs_and_the_network_as_they_are"),
    (TestMeans, "does not learn", "test_it_learns_what_a_line_separates"),
    (TestMeans, "unseeded", "test_the_same_seed_gives_the_same_weights_whatever_torch_drew_before"),
    (TestMeans, "in place", "test_the_examples_stay_as_they_are"),
    (TestMeans, "needs held-out examples", "test_no_held_out_example_is_needed"),
    (TestMeans, "scratch", "test_a_folder_for_checkpoints_changes_no_weight"),
    (TestMeans, "nan", "test_the_suggested_certifier_can_be_written_in_yaml"),
    (TestAffine, "outputs", "test_one_row_of_finite_outputs_an_input"),
    (TestAffine, "idle parameter", "test_gradients_reach_every_parameter_and_the_input"),
    (TestAffine, "hidden state", "test_the_state_is_all_there_is"),
    (TestAffine, "mixes rows", "test_a_row_does_not_depend_on_its_neighbours"),
    (TestAffine, "unseeded", "test_the_seed_names_the_weights"),
    (TestStripes, "label twice", "test_labels_are_distinct_names"),
    (TestStripes, "shape", "test_every_view_has_the_shape_that_it_announces"),
    (TestStripes, "float64", "test_every_view_has_the_shape_that_it_announces"),
    (TestStripes, "one-based", "test_truths_are_indices_of_labels"),
    (TestStripes, "forbids the truth", "test_masks_always_allow_the_truth"),
    (TestStripes, "tracks", "test_tracks_name_every_example"),
    (TestStripes, "other examples each time", "test_loading_twice_gives_the_same_examples"),
    (TestStripes, "never misses", "test_a_set_that_is_not_there_is_an_error_that_says_where_it_was_sought"),
    (TestStripes, "silent", "test_a_set_that_is_not_there_is_an_error_that_says_where_it_was_sought"),
]


@pytest.mark.parametrize(("kit", "fault", "fact"), CAUGHT, ids=[f"{k.__name__}-{f}-{t[5:40]}" for k, f, t in CAUGHT])
def test_the_kit_catches(kit, fault: str, fact: str):
    suite = type("Suite", (kit,), {"fault": fault})()
    with pytest.raises(AssertionError):
        getattr(suite, fact)()


def test_the_kit_catches_a_trainer_that_returns_another_network():
    suite = type("Suite", (TestMeans,), {"fault": "another network"})()
    with pytest.raises(RuntimeError, match="state_dict"):
        suite.test_the_weights_are_finite_and_fit_the_architecture()


@pytest.mark.parametrize(
    ("made", "fact"),
    [
        (Loose(), "test_it_is_frozen"),
        (Loose(), "test_unknown_options_are_refused"),
        (Loose(), "test_it_says_what_it_is"),
        (Unlike(rate=2.0), "test_its_options_make_it_again"),
    ],
)
def test_the_kit_catches_a_component_that_is_no_value(made, fact: str):
    suite = type("Suite", (TestMeans,), {"make": lambda self: made})()
    with pytest.raises(AssertionError):
        getattr(suite, fact)()


def test_the_kit_catches_a_component_whose_module_imports_torch():
    class Heavy(Means):
        """Defined here, beside torch."""

    suite = type("Suite", (TestMeans,), {"make": lambda self: Heavy()})()
    with pytest.raises(AssertionError, match="imports torch or fails"):
        suite.test_its_module_imports_no_torch()


@pytest.mark.parametrize("norm", [LINF, L2, L1, Norm(3.0)], ids=str)
def test_the_oracle_puts_inputs_at_the_distance_asked_for(norm: Norm):
    asked = torch.linspace(0.05, 0.5, 6, dtype=torch.float64)
    oracle = LinearOracle.at_distances(asked, norm, (2, 3), seed=0)
    found = oracle.distances(TWO, norm)
    assert oracle.decide(TWO).tolist() == [0, 1] * 3
    assert found.amax(dim=1).tolist() == pytest.approx(asked.tolist(), rel=1e-5)
    slope = (oracle.weight[0].double() - oracle.weight[1].double()).numpy()
    margin = (oracle.logits()[:, 0] - oracle.logits()[:, 1]).abs().numpy()
    assert found.amax(dim=1).numpy() == pytest.approx(margin / np.linalg.norm(slope, norm.dual.p), rel=1e-12)


@pytest.mark.parametrize("norm", [LINF, L2, L1, Norm(3.0)], ids=str)
def test_exact_distances_are_confirmed_by_sampling(norm: Norm):
    """In two dimensions, on a fine grid of offsets, with walls and with several rows."""
    axis = np.linspace(-1.5, 1.5, 1201)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    generator = np.random.default_rng(3)
    for rows in (1, 2, 3):
        for walls in (False, True):
            slopes = generator.normal(size=(rows, 2)) + np.array([1.0, 0.5])
            missing = generator.uniform(0.05, 0.4, size=rows)
            low, high = (
                (np.array([-0.3, -0.4]), np.array([0.35, 0.5])) if walls else (np.full(2, -np.inf), np.full(2, np.inf))
            )
            inside = ((points @ slopes.T >= missing) & True).all(axis=1) & ((points >= low) & (points <= high)).all(
                axis=1
            )
            sampled = np.linalg.norm(points[inside], norm.p, axis=1).min() if inside.any() else np.inf
            assert exact_distance(slopes, missing, low, high, norm) == pytest.approx(sampled, abs=0.006)


def test_a_child_beyond_the_walls_is_infinitely_far():
    slope, missing = np.array([[1.0, 1.0]]), np.array([1.0])
    for norm in (LINF, L2, L1):
        assert exact_distance(slope, missing, np.full(2, -0.4), np.full(2, 0.4), norm) == np.inf


def test_the_closed_form_of_a_smoothed_radius_is_what_simulation_gives():
    mean, variance = one_sided_radius(0.3, 0.25, 200, 0.01)
    counts = np.random.default_rng(0).binomial(200, stats.norm.cdf(0.3 / 0.25), size=200_000)
    lower = stats.beta.ppf(0.01, counts, 200 - counts + 1)
    radii = 0.25 * stats.norm.ppf(np.maximum(lower, 0.5))
    assert mean == pytest.approx(radii.mean(), abs=5 * radii.std() / 200_000**0.5)
    assert variance == pytest.approx(radii.var(), rel=0.05)


def test_failures_that_alpha_allows_are_counted():
    assert most_failures(100, 0.0) == 0
    allowed = most_failures(24, 0.001)
    assert stats.binom.sf(allowed, 24, 0.001) <= 1e-6 < stats.binom.sf(allowed - 1, 24, 0.001)


def test_distances_inside_a_box_are_never_below_those_without_walls():
    oracle = LinearOracle.random(2, (1, 3, 3), 12, seed=0)
    for norm in (LINF, L2, L1):
        free, walled = oracle.distances(TWO, norm, EVERYWHERE), oracle.distances(TWO, norm, Domain("box", 0.1, 0.9))
        assert bool((walled >= free * (1 - 1e-9)).all())
