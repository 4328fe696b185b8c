"""The options of smoothing: what is refused, recorded and told."""

import subprocess
import sys

import pytest
from pydantic import ValidationError
from smoothing_toys import BINARY, CPU, boundary, deployed

from hiercls.contracts.context import Context
from hiercls.values.draws import generator_name
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import Threat
from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.trainer import Gaussian


@pytest.mark.parametrize("sigma", [0.0, -0.25, float("inf"), float("nan")])
@pytest.mark.parametrize("component", [Smoothing, Gaussian])
def test_a_sigma_that_is_not_positive_and_finite_is_refused(component, sigma):
    with pytest.raises(ValidationError, match="sigma"):
        component(sigma=sigma)


@pytest.mark.parametrize("sigma", [1e-50, 1e39])
def test_a_sigma_that_float32_noise_cannot_be_scaled_by_is_refused(sigma):
    with pytest.raises(ValidationError, match="sigma"):
        Smoothing(sigma=sigma)


@pytest.mark.parametrize("option", ["draws", "select", "predict", "audit"])
def test_more_draws_than_rounding_errors_are_shown_for_are_refused(option):
    with pytest.raises(ValidationError, match="less than or equal to 10000000"):
        Smoothing(sigma=0.25, stop="grid", **{option: LARGEST_DRAWS + 1})
    Smoothing(sigma=0.25, stop="grid", **{option: LARGEST_DRAWS})


@pytest.mark.parametrize("option", ["draws", "select", "predict", "audit", "tile"])
def test_no_draws_are_refused(option):
    with pytest.raises(ValidationError, match=option):
        Smoothing(sigma=0.25, **{option: 0})


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, float("nan")])
def test_a_level_that_proves_nothing_is_refused(alpha):
    with pytest.raises(ConfigurationError, match="is no level"):
        deployed(boundary(0.0), BINARY, context=Context(alpha=alpha))


def test_the_trainer_suggests_its_sigma_and_no_other_option():
    assert Gaussian(sigma=0.25).certifier() == {"smoothing": {"sigma": 0.25}}
    with pytest.raises(ValidationError):
        Smoothing()


def test_the_tile_the_precision_and_the_generator_are_recorded():
    found = [Smoothing(sigma=0.25, tile=tile).arithmetic("cpu") for tile in (100, 500)]
    assert [arithmetic["tile"] for arithmetic in found] == ["100", "500"]
    assert {**found[0], "tile": ""} == {**found[1], "tile": ""}
    assert found[0]["generator"] == generator_name(CPU)
    assert Smoothing(sigma=0.25, precision="bf16").arithmetic("cuda:1")["dtype"] == "bf16"
    assert Smoothing(sigma=0.25).arithmetic("cuda:1")["device"] == "cuda"


def test_a_budget_above_the_cap_is_told():
    smoothing = Smoothing(sigma=0.25, draws=1000)
    (sentence,) = smoothing.warnings(Threat(L2, (0.25, 0.7)), 0.001)
    assert sentence.startswith("threat.budgets: 0.7 is above 0.616, the largest l2 radius that sigma 0.25")
    assert Smoothing(sigma=0.25).warnings(Threat(L2, (0.25, 0.7)), 0.001) == ()


def test_too_few_draws_are_told():
    (sentence,) = Smoothing(sigma=0.25, draws=9).warnings(Threat(L2, (0.1,)), 0.001)
    assert sentence == "smoothing.draws: 9 draws certify nothing at alpha 0.001; take at least 10"


def test_components_import_no_torch():
    modules = ["plugin", "certifier", "trainer", "statistics"]
    program = "import sys; " + "; ".join(f"import hiercls_plugins.smoothing.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", program + "; assert 'torch' not in sys.modules"], check=True)
