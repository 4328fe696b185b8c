"""Linear networks whose exact radii are known."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import LinearConstraint, linprog, minimize

from hiercls.values.heads import Head
from hiercls.values.perturbations import lengths
from hiercls.values.views import Inputs
from hiercls.words.norms import Norm
from hiercls.words.threats import EVERYWHERE, Domain


@dataclass(frozen=True)
class LinearOracle:
    """A linear network with inputs at known distances from its decision boundaries.

    Attributes:
        weight: (K, entries) float32.
        offset: (K,) float32.
        x: (N, *shape) float32 inputs of the view.
    """

    weight: torch.Tensor
    offset: torch.Tensor
    x: torch.Tensor

    @classmethod
    def random(cls, outputs: int, shape: tuple[int, ...], count: int, seed: int) -> "LinearOracle":
        """Inputs in [0.2, 0.8], offsets such that each output wins somewhere."""
        generator = torch.Generator().manual_seed(seed)
        x = 0.2 + 0.6 * torch.rand(count, *shape, generator=generator)
        entries = x[0].numel()
        weight = torch.randn(outputs, entries, generator=generator) / entries**0.5
        return cls(weight, -weight.sum(dim=1) / 2, x)

    @classmethod
    def at_distances(cls, distances: torch.Tensor, norm: Norm, shape: tuple[int, ...], seed: int) -> "LinearOracle":
        """Two outputs; input n is given to output n modulo 2, `distances[n]` away from the boundary."""
        found = cls.random(2, shape, len(distances), seed)
        weight, offset = found.weight.double(), found.offset.double()
        slope = weight[0] - weight[1]
        side = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(distances))[: len(distances)]
        asked = side * distances * lengths(slope[None], norm.dual)
        flat = found.x.double().flatten(1)
        missing = asked - (flat @ slope + offset[0] - offset[1])
        flat += (missing / slope.dot(slope))[:, None] * slope
        return cls(found.weight, found.offset, flat.float().reshape(found.x.shape))

    @property
    def inputs(self) -> Inputs:
        return Inputs(torch.arange(len(self.x)), {"image": self.x})

    def network(self) -> torch.nn.Module:
        """Flatten and one affine layer, in eval mode."""
        linear = torch.nn.Linear(self.weight.shape[1], len(self.weight))
        linear.load_state_dict({"weight": self.weight, "bias": self.offset})
        return torch.nn.Sequential(torch.nn.Flatten(), linear).eval()

    def logits(self) -> torch.Tensor:
        """Float64 outputs, (N, K)."""
        return self.x.double().flatten(1) @ self.weight.double().T + self.offset.double()

    def decide(self, head: Head) -> torch.Tensor:
        return head.decide(self.logits())

    def distances(self, head: Head, norm: Norm, domain: Domain = EVERYWHERE) -> torch.Tensor:
        """The distance of each input to the nearest point where each child is chosen, (N, children) float64.

        0 for the chosen child, infinite for a child that is chosen nowhere in the domain. Exact where the
        head has two outputs; otherwise the solution of a convex program, exact up to 1e-6.
        """
        logits, weight = self.logits().numpy(), self.weight.double().numpy()
        low, high = _room(self.x.double().flatten(1).numpy(), domain)
        found = torch.full((len(self.x), len(head.children)), torch.inf, dtype=torch.float64)
        for n, chosen in enumerate(self.decide(head).tolist()):
            for child, outputs in enumerate(head.outputs):
                for output in outputs:
                    rivals = [other for other in head.allowed if other != output]
                    slopes, missing = weight[output] - weight[rivals], logits[n, rivals] - logits[n, output]
                    distance = exact_distance(slopes, missing, low[n], high[n], norm)
                    found[n, child] = min(float(found[n, child]), distance)
            found[n, chosen] = 0.0
        return found


def _room(x: np.ndarray, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """How far each entry may move down and up, (N, entries) each, as signed offsets."""
    if not domain.bounded:
        return np.full_like(x, -np.inf), np.full_like(x, np.inf)
    return domain.lower - x, domain.upper - x


def exact_distance(slopes: np.ndarray, missing: np.ndarray, low: np.ndarray, high: np.ndarray, norm: Norm) -> float:
    """The smallest l_p length of an offset in [low, high] with slopes @ offset >= missing in every row.

    One row is solved in closed form, several by a linear program (l1, linf) or a convex one.
    """
    if (missing <= 0).all():
        return 0.0
    if len(missing) == 1:
        return _one_row(slopes[0], float(missing[0]), low, high, norm)
    return (
        _linear_program(slopes, missing, low, high, norm)
        if norm.p in (1, np.inf)
        else _convex(slopes, missing, low, high, norm)
    )


def _one_row(slope: np.ndarray, missing: float, low: np.ndarray, high: np.ndarray, norm: Norm) -> float:
    """The largest gain of a ball meets `missing`: without walls Hoelder's equality, with them by their multiplier."""
    room = np.where(slope > 0, high, -low)
    if not np.isfinite(room).all():
        return float(missing / np.linalg.norm(slope, norm.dual.p))
    size = np.abs(slope)
    if size @ room < missing:
        return float("inf")
    if norm.p == 1:
        return _cheapest_first(size, missing, room)
    shape = np.ones_like(size) if np.isinf(norm.p) else size ** (norm.dual.p - 1)
    few, many = 0.0, float((room / np.maximum(shape, 1e-300)).max())
    for _ in range(200):
        middle = (few + many) / 2
        few, many = (few, middle) if size @ np.minimum(middle * shape, room) >= missing else (middle, many)
    return float(np.linalg.norm(np.minimum(many * shape, room), norm.p))


def _cheapest_first(size: np.ndarray, missing: float, room: np.ndarray) -> float:
    """In l1 the steepest entry moves to its wall before the next one moves."""
    spent = 0.0
    for k in np.argsort(-size):
        if size[k] * room[k] >= missing:
            return spent + missing / size[k]
        spent, missing = spent + room[k], missing - size[k] * room[k]
    return spent


def _linear_program(slopes: np.ndarray, missing: np.ndarray, low: np.ndarray, high: np.ndarray, norm: Norm) -> float:
    """Offsets as up minus down, both at least 0; the length is their sum (l1) or an upper bound on each (linf)."""
    rows, entries = slopes.shape
    gains = np.hstack([-slopes, slopes])
    bounds = [(0, up) for up in high] + [(0, -down) for down in low]
    if norm.p == 1:
        solved = linprog(np.ones(2 * entries), gains, -missing, bounds=bounds)
    else:
        shorter = np.hstack([np.eye(entries), np.eye(entries), -np.ones((entries, 1))])
        above = np.vstack([np.hstack([gains, np.zeros((rows, 1))]), shorter])
        limits = np.concatenate([-missing, np.zeros(entries)])
        solved = linprog(np.append(np.zeros(2 * entries), 1.0), above, limits, bounds=[*bounds, (0, None)])
    return float(solved.fun) if solved.success else float("inf")


def _convex(slopes: np.ndarray, missing: np.ndarray, low: np.ndarray, high: np.ndarray, norm: Norm) -> float:
    start = np.linalg.lstsq(slopes, missing, rcond=None)[0]
    solved = minimize(
        lambda offset: (np.abs(offset) ** norm.p).sum(),
        start,
        jac=lambda offset: norm.p * np.sign(offset) * np.abs(offset) ** (norm.p - 1),
        bounds=list(zip(low, high, strict=True)),
        constraints=LinearConstraint(slopes, missing, np.inf),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    reached = (slopes @ solved.x >= missing - 1e-7).all()
    return float(np.linalg.norm(solved.x, norm.p)) if reached else float("inf")
