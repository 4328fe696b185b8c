"""What every architecture keeps."""

from abc import abstractmethod

import safetensors.torch
import torch

from hiercls.contracts.components import Architecture
from hiercls.testing.components import ComponentConformance


class ArchitectureConformance(ComponentConformance):
    """The facts that hold for an architecture.

    Attributes:
        shapes: of the inputs that it serves.
        outputs: how many outputs to ask for.
    """

    shapes: tuple[tuple[int, ...], ...] = ((1, 28, 28), (3, 32, 32))
    outputs: tuple[int, ...] = (2, 10)

    @abstractmethod
    def make(self) -> Architecture: ...

    def test_one_row_of_finite_outputs_an_input(self) -> None:
        for shape in self.shapes:
            for outputs in self.outputs:
                logits = self._build(shape, outputs).eval()(_inputs(shape))
                assert logits.shape == (3, outputs)
                assert bool(logits.isfinite().all())

    def test_the_seed_names_the_weights(self) -> None:
        for shape in self.shapes:
            first, again = self._build(shape, 2).state_dict(), self._build(shape, 2).state_dict()
            assert first.keys() == again.keys()
            assert all(torch.equal(first[name], again[name]) for name in first), "the same seed gives other weights"

    def test_the_state_is_all_there_is(self) -> None:
        for shape in self.shapes:
            network, other = self._build(shape, 2).eval(), self._build(shape, 2, seed=1).eval()
            network(_inputs(shape))
            state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
            other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
            with torch.no_grad():
                assert torch.equal(network(_inputs(shape)), other(_inputs(shape)))

    def test_a_row_does_not_depend_on_its_neighbours(self) -> None:
        for shape in self.shapes:
            network = self._build(shape, 2).eval()
            x = _inputs(shape)
            with torch.no_grad():
                assert torch.allclose(network(x)[1:2], network(x[1:2]), atol=1e-4), "rows of a batch are mixed"

    def test_gradients_reach_every_parameter_and_the_input(self) -> None:
        for shape in self.shapes:
            network = self._build(shape, 3).train()
            x = _inputs(shape).requires_grad_(True)
            torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2])).backward()
            idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
            assert not idle, f"no gradient reaches {idle}"
            assert x.grad is not None
            assert bool(x.grad.any()), "no gradient reaches the input"

    def _build(self, shape: tuple[int, ...], outputs: int, seed: int = 0) -> torch.nn.Module:
        torch.manual_seed(seed)
        return self.make().build(shape, outputs)


def _inputs(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(3, *shape, generator=torch.Generator().manual_seed(4))
