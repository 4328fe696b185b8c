"""Components in words: what was chosen of their options, and what each option means."""

from typing import Literal

from pydantic import BaseModel, Field

from hiercls.contracts.schedules import Schedule, Steps
from hiercls.wiring.meanings import meanings, purpose
from hiercls.wiring.wording import changed_options, in_words
from hiercls_plugins.bounds.training.component import SCHEDULE
from hiercls_plugins.ibp.trainer import Ibp
from hiercls_plugins.sabr.trainer import Sabr
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.standard.components import Standard

# options


def test_an_option_is_shown_that_is_the_default_of_its_kind_but_not_of_the_trainer():
    rate = Schedule().rate
    assert rate != SCHEDULE.rate
    assert changed_options(Ibp(eps=0.1, schedule={"rate": rate})) == {"eps": 0.1, "schedule": {"rate": rate}}


def test_a_default_of_the_trainer_is_not_shown_though_it_is_not_that_of_its_kind():
    assert changed_options(Ibp(eps=0.1, schedule=SCHEDULE)) == {"eps": 0.1}
    assert changed_options(Ibp(eps=0.1, schedule={"epochs": 30})) == {"eps": 0.1, "schedule": {"epochs": 30}}


def test_values_at_any_depth_are_compared_with_the_default_that_holds_them():
    lower = Ibp(eps=0.1, schedule={"decay": {"at": [42, 52], "by": 0.5}})
    assert changed_options(lower)["schedule"] == {"decay": {"by": 0.5}}
    earlier = Ibp(eps=0.1, schedule={"decay": Steps(at=(9,))})
    assert changed_options(earlier)["schedule"] == {"decay": {"at": [9.0], "by": 0.1}}
    other = Ibp(eps=0.1, schedule={"decay": "cosine", "clip": None})
    assert changed_options(other)["schedule"] == {"decay": "cosine", "clip": None}


def test_a_nested_value_in_the_place_of_another_kind_is_compared_with_its_own_defaults():
    assert changed_options(Standard(schedule={"decay": Steps(at=(9,))})) == {"schedule": {"decay": {"at": [9.0]}}}
    assert changed_options(Smoothing(sigma=1, stop="grid")) == {"sigma": 1.0, "stop": {"grid": {}}}


def test_nested_values_keep_their_name_in_words():
    trainer = Ibp(eps=0.1, schedule={"batch": 32, "rate": 1e-3, "decay": {"at": [4, 6], "by": 0.2}, "clip": None})
    words = "eps 0.1, schedule (batch 32, rate 0.001, decay (at [4.0, 6.0]), clip null)"
    assert in_words(changed_options(trainer)) == words
    assert in_words(changed_options(Smoothing(sigma=1, stop="grid"))) == "sigma 1, stop (grid)"


# meanings


class Inner(BaseModel):
    """What is nested."""

    depth: int = Field(default=1, description="how deep it lies")


class Base(BaseModel):
    """A base.

    Attributes:
        first: of the base: with a colon,
            and a second line.
        second, third: of both.
        absent: of no option.

    The last word.
    """

    first: int = 1
    second: int = 2
    third: Literal["a"] = "a"


class Derived(Base):
    """A derived one.

    Attributes:
        second: of the derived class.
    """

    fourth: Inner | None = None
    fifth: int = 5


def test_an_option_has_the_meaning_that_the_nearest_class_gives_it():
    assert meanings(Derived) == {
        "first": "of the base: with a colon, and a second line.",
        "second": "of the derived class.",
        "third": "of both.",
        "fourth": "What is nested.",
    }
    assert meanings(Inner) == {"depth": "how deep it lies"}


def test_the_purpose_of_a_class_leaves_its_options_out():
    assert purpose(Base) == "A base.\n\nThe last word."
    assert purpose(Derived) == "A derived one."


def test_an_inherited_default_that_was_changed_has_its_own_meaning():
    assert meanings(Sabr)["kappa"].startswith("the clean weight at the end of the ramp. 0, since")
    assert meanings(Sabr)["ramp"] == meanings(Ibp)["ramp"]


def test_every_option_of_the_first_party_has_a_meaning(registry):
    specs = [spec for spec in registry.specs() if spec.target.startswith("hiercls_plugins.")]
    components = {f"{spec.kind} {spec.name}": registry.get(spec.kind, spec.name) for spec in specs}
    silent = {name: [*each.model_fields.keys() - meanings(each).keys()] for name, each in components.items()}
    assert len(components) > 20
    assert {name: options for name, options in silent.items() if options} == {}
