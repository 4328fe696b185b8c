"""What the keys of stored work depend on."""

from hiercls.whole.plan import described, identity
from hiercls_plugins.ibp.trainer import Ibp


def test_a_key_names_only_the_options_that_differ_from_their_defaults():
    assert identity(Ibp(eps=0.1))["options"] == {"eps": 0.1}
    assert described(Ibp(eps=0.1))["options"]["kappa"] == 0.5


def test_an_option_that_is_the_default_of_its_kind_but_not_of_the_trainer_is_in_the_key():
    usual = Ibp(eps=0.1)
    faster = Ibp(eps=0.1, schedule={"rate": 1e-3})
    assert faster.schedule.rate == 1e-3 != usual.schedule.rate
    assert identity(faster) != identity(usual)
