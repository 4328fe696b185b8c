"""Findings that do not belong together are refused."""

import pytest
from reporting_toys import findings

from hiercls.verbs.reporting.findings import Findings, System
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import Threat


def test_findings_that_do_not_belong_together_are_refused():
    found = findings()
    tree, flat = found.systems
    with pytest.raises(ConfigurationError, match="two systems have one name"):
        Findings("", "", "", {}, found.threat, (tree, tree))
    with pytest.raises(ConfigurationError, match="flat was certified on other inputs or labels than tree"):
        Findings("", "", "", {}, found.threat, (tree, System("flat", flat.certificates, flat.truth.flip(0))))
    with pytest.raises(ConfigurationError, match="tree speaks of linf on image, the threat is l2 on image"):
        Findings("", "", "", {}, Threat(L2), (tree,))
    with pytest.raises(ConfigurationError, match="tree has 60 certified inputs, but 59 true labels"):
        System("tree", tree.certificates, tree.truth[:-1])
    with pytest.raises(ConfigurationError, match="nothing is certified yet"):
        Findings("", "", "", {}, found.threat, ())
