"""The options of auto_LiRPA's certifier, and the arithmetic that it records."""

import pytest
from pydantic import ValidationError

from hiercls_plugins.auto_lirpa.certifier import AutoLirpa


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": "beta-crown"}, "bound"),
        ({"iterations": 5}, "iterations are those of alpha-crown; crown-ibp optimises nothing"),
        ({"bound": "alpha-crown", "iterations": 0}, "greater than or equal to 1"),
        ({"bound": "ibp", "convolutions": "patches"}, "patches is for linear bounds; ibp uses neither"),
        ({"rows": 24}, r"rows \(24\) must divide 256"),
        ({"rows": 512}, "less than or equal to 256"),
        ({"smallest": 0.5, "largest": 0.1}, r"smallest \(0.5\) must lie below largest \(0.1\)"),
        ({"precision": 0}, "greater than or equal to 0.000001"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        AutoLirpa(**options)


def test_its_arithmetic_says_which_network_is_enclosed():
    assert AutoLirpa().arithmetic("cuda:1") == {
        "device": "cuda",
        "dtype": "float32",
        "bounds": "float64, of the real-valued network",
        "tile": "256",
    }
