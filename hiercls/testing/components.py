"""What every component keeps: a frozen value that tells what it is, and whose module imports no torch."""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import Any

import torch
from pydantic import ValidationError

from hiercls.contracts.components import KINDS, Component
from hiercls.contracts.context import Context
from hiercls.words.threats import Threat


class ComponentConformance(ABC):
    """The facts that hold for a component of any kind."""

    @abstractmethod
    def make(self) -> Component:
        """A small one, quick to run: the component under test."""

    def test_it_is_a_component_of_one_kind(self) -> None:
        kinds = [kind for kind, base in KINDS.items() if isinstance(self.make(), base)]
        assert len(kinds) == 1, f"{type(self.make()).__name__} is of the kinds {kinds}; one is right"

    def test_it_says_what_it_is(self) -> None:
        assert (type(self.make()).__doc__ or "").strip(), "a component has a docstring: it is its help text"

    def test_it_is_frozen(self) -> None:
        made = self.make()
        for name in type(made).model_fields:
            try:
                setattr(made, name, getattr(made, name))
            except (ValidationError, AttributeError):
                continue
            raise AssertionError(f"the option {name} can be changed after the component was made")

    def test_unknown_options_are_refused(self) -> None:
        options = self.make().model_dump() | {"an option that nobody has": 1}
        try:
            type(self.make()).model_validate(options)
        except ValidationError:
            return
        raise AssertionError("an unknown option was accepted")

    def test_its_options_make_it_again(self) -> None:
        made = self.make()
        stored = json.loads(json.dumps(made.model_dump(mode="json")))
        assert type(made).model_validate(stored) == made, f"{stored} does not make the same component again"

    def test_its_module_imports_no_torch(self) -> None:
        module = type(self.make()).__module__
        code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"importing {module} imports torch or fails: {done.stderr[-500:]}"


def context(threat: Threat, **changes: Any) -> Context:
    """The run around a component under test."""
    return Context(**{"seed": 7, "threat": threat, "alpha": 0.001, "batch": 512, **changes})


def copied(network: torch.nn.Module) -> dict[str, Any]:
    """All of a network that could be changed behind its owner's back."""
    return {
        "state": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "gradients": [parameter.requires_grad for parameter in network.parameters()],
        "collected": [parameter.grad is None for parameter in network.parameters()],
        "modes": [module.training for module in network.modules()],
        "hooks": [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in network.modules()
        ],
    }


def require_untouched(before: dict[str, Any], network: torch.nn.Module, by: str) -> None:
    after = copied(network)
    for name, tensor in before["state"].items():
        same = torch.equal(tensor.nan_to_num(), after["state"][name].nan_to_num())
        assert same, f"{by} changed {name} of the network that it was given"
    for part in ("gradients", "collected", "modes", "hooks"):
        assert before[part] == after[part], f"{by} changed the {part} of the network that it was given"
