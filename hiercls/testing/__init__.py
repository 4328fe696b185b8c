"""The conformance kit: what a plugin's tests inherit.

Write one class a component, say how to make one, and run pytest; the framework brings the rest:

    from hiercls.testing import CertifierConformance
    from my_plugin.components import MyCertifier


    class TestMyCertifier(CertifierConformance):
        tight = True  # at least 99% of the exact radius on two classes

        def make(self):
            return MyCertifier(precision=0.001)

`TrainerConformance`, `AttackConformance`, `ArchitectureConformance` and `DatasetConformance` work alike; the
class attributes of each say what can be set. Certifiers and attacks meet linear networks whose exact radii
are known in closed form: a certifier that claims more, or an attack that needs less, is wrong.
"""

from hiercls.testing.architectures import ArchitectureConformance
from hiercls.testing.attacks import AttackConformance
from hiercls.testing.certifiers import CertifierConformance
from hiercls.testing.components import ComponentConformance
from hiercls.testing.datasets import DatasetConformance
from hiercls.testing.oracle import LinearOracle, exact_distance
from hiercls.testing.trainers import TrainerConformance

__all__ = [
    "ArchitectureConformance",
    "AttackConformance",
    "CertifierConformance",
    "ComponentConformance",
    "DatasetConformance",
    "LinearOracle",
    "TrainerConformance",
    "exact_distance",
]
