"""Where noise comes from, and by how much its law may differ from the normal one.

Each source fills a block of one input's stream, named by (seed, purpose, input, block) alone, at float32 or
wider. Its `slack` is a total variation: no event around an input has a probability that differs by more from
the one under exact normal draws, so that every bound and every test is moved by it.
"""

from math import ceil, prod
from typing import Literal, Protocol

import numpy as np
import torch
from scipy.special import ndtr

from hiercls.values.draws import Purpose, generator_name, standard_normal
from hiercls.values.views import require_domain
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import Domain
from hiercls_plugins.smoothing.sequential import LANES, NORMAL_ERROR, tail_slack

Noise = Literal["float64", "float32", "grid"]

_REACH = 9.0
"""Standard deviations that grid noise covers; beyond lie 1.2e-19 on each side, charged with the slack."""


class Source(Protocol):
    """Noisy inputs of one kind of draws.

    Attributes:
        sigma: the standard deviation that radii are in units of.
    """

    sigma: float

    def slack(self, entries: int) -> float:
        """Total variation between the noise of one input of so many entries and exact normal noise."""
        ...

    def noisy(self, x: torch.Tensor, purpose: Purpose, example: int, block: int, draws: int) -> torch.Tensor:
        """x (1, ...) with a block of its noise, (draws, ...) float32; the sum is never clipped."""
        ...


class Wide:
    """Normal draws in float64, cast to float32: no cut tail, and no slack but that of floats themselves."""

    def __init__(self, seed: int, sigma: float):
        self.seed = seed
        self.sigma = float(np.float32(sigma))  # what float32 noise is scaled by

    def slack(self, entries: int) -> float:
        return 0.0

    def noisy(self, x: torch.Tensor, purpose: Purpose, example: int, block: int, draws: int) -> torch.Tensor:
        noise = standard_normal(self.seed, purpose, example, block, (draws, *x.shape[1:]), x.device)
        return torch.add(x, noise, alpha=self.sigma, out=noise)


class Narrow:
    """torch's float32 normal draws on a CPU, whose tails are cut: cheap, and charged with `tail_slack`."""

    def __init__(self, seed: int, sigma: float):
        self.seed = seed
        self.sigma = float(np.float32(sigma))

    def slack(self, entries: int) -> float:
        return tail_slack(entries)

    def noisy(self, x: torch.Tensor, purpose: Purpose, example: int, block: int, draws: int) -> torch.Tensor:
        entries = x[0].numel()
        generator = _generator(self.seed, purpose, example, block, x.device)
        noise = torch.randn(draws, -(-entries // LANES) * LANES, generator=generator)
        return torch.add(x, noise[:, :entries].reshape(draws, *x.shape[1:]), alpha=self.sigma)


class Stepped:
    """Normal noise rounded to the steps of a grid, in whole numbers (Voracek and Hein 2023).

    Rounding the sum of a grid point and a normal number is rounding the number alone, so the smoothed network
    is exactly that of `round, then the network`, for all inputs on the grid, whatever floats do. Whole numbers
    come from 63 random bits and a table of thresholds.
    """

    def __init__(self, seed: int, sigma: float, domain: Domain):
        self.seed = seed
        self.sigma = sigma
        self.domain = domain
        steps = sigma * domain.levels / (domain.upper - domain.lower)
        self.far = ceil(_REACH * steps)
        edges = (np.arange(-self.far, self.far) + 0.5) / steps
        self.thresholds = torch.tensor([min(int(p * 2.0**63), 2**63 - 1) for p in ndtr(edges).tolist()])

    def slack(self, entries: int) -> float:
        """Each threshold is off by one error of a normal probability and a step of 2^-53 at most."""
        return entries * len(self.thresholds) * 2.0 * NORMAL_ERROR

    def noisy(self, x: torch.Tensor, purpose: Purpose, example: int, block: int, draws: int) -> torch.Tensor:
        require_domain(x, self.domain, "smoothing")
        low, width = self.domain.lower, self.domain.upper - self.domain.lower
        place = ((x.double() - low) * (self.domain.levels / width)).round()
        bits = self._bits(purpose, example, block, (draws, *x.shape[1:]), x.device)
        noise = torch.searchsorted(self.thresholds.to(x.device), bits, right=True) - self.far
        return ((place + noise) * (width / self.domain.levels) + low).float()

    def _bits(
        self, purpose: Purpose, example: int, block: int, shape: tuple[int, ...], device: torch.device
    ) -> torch.Tensor:
        """Whole numbers of 63 random bits. torch's generator on a CPU reads 32 bits of a seed: numpy's names all."""
        if device.type == "cpu":
            raw = np.random.SFC64(_key(self.seed, purpose, example, block)).random_raw(prod(shape))
            return torch.from_numpy((raw >> np.uint64(1)).astype(np.int64)).reshape(shape)
        generator = _generator(self.seed, purpose, example, block, device)
        return torch.empty(shape, dtype=torch.int64, device=device).random_(generator=generator)


def source(noise: Noise, seed: int, sigma: float, domain: Domain, device: torch.device) -> Source:
    """The source of a name.

    Raises:
        ConfigurationError: float32 draws of a device whose generator is not measured; a grid that is none.
    """
    if noise == "float64":
        return Wide(seed, sigma)
    if noise == "grid":
        if domain.kind != "grid":
            raise ConfigurationError(
                f"smoothing.noise: grid noise needs `threat: {{domain: {{grid: ...}}}}`, not {domain}"
            )
        return Stepped(seed, sigma, domain)
    if device.type != "cpu":
        raise ConfigurationError(
            f"smoothing.noise: how {device.type} cuts the tails of float32 draws is not measured; take float64"
        )
    return Narrow(seed, sigma)


def generator_of(noise: Noise, device: torch.device) -> str:
    """The generator behind a source, as recorded with every proof."""
    names = {
        "float32": f"torch-{device.type}-float32-runs-of-{LANES}",
        "grid": "numpy-sfc64-bits-63" if device.type == "cpu" else f"torch-{device.type}-bits-63",
    }
    return names.get(noise) or generator_name(device)


def _generator(seed: int, purpose: Purpose, example: int, block: int, device: torch.device) -> torch.Generator:
    words = _key(seed, purpose, example, block).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(words[0] >> 1))


def _key(seed: int, purpose: Purpose, example: int, block: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy=seed, spawn_key=(purpose.value, example, block))
