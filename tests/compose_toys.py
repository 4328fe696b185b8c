"""Rows of one node, written by hand."""

import torch
from brute_force import SCOPE

from hiercls.values.certificates import NodeCertificates, Scope, others
from hiercls.values.labels import LabelTree, Node


def rows(tree: LabelTree, node: Node, chosen, radii, alpha: float = 0.0, scope: Scope = SCOPE) -> NodeCertificates:
    chosen, radii = torch.tensor(chosen), torch.tensor(radii, dtype=torch.float64)
    return NodeCertificates(tree.children(node), chosen, others(radii, chosen), radii, alpha, scope)
