"""Targeted radii by interval bounds and, where those fail, linear ones."""

import torch

from hiercls.values.heads import Head
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.leading import crown_margins
from hiercls_plugins.bounds.prover import BoundProver
from hiercls_plugins.bounds.rounding import FLOAT32


class CrownProver(BoundProver):
    """Asks the cascade of interval and linear bounds."""

    falling = False

    def margins(self, box: Box, head: Head) -> torch.Tensor:
        return crown_margins(self.bounded, self.bounded.features(box, keep=True), head, FLOAT32)
