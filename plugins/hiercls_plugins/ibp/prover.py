"""Targeted radii by interval bounds."""

import torch

from hiercls.values.heads import Head
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.exclusion import exclusion_margins
from hiercls_plugins.bounds.prover import BoundProver
from hiercls_plugins.bounds.rounding import FLOAT32


class IntervalProver(BoundProver):
    """Asks interval bounds alone."""

    falling = True

    def margins(self, box: Box, head: Head) -> torch.Tensor:
        return exclusion_margins(self.bounded.features(box), head, FLOAT32)
