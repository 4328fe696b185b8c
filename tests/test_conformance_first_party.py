"""The first-party components, by the kit that a stranger's inherit."""

from hiercls.contracts.schedules import Schedule
from hiercls.testing import (
    ArchitectureConformance,
    AttackConformance,
    CertifierConformance,
    DatasetConformance,
    TrainerConformance,
)
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls_plugins.architectures.components import Cnn7, CnnSmall, Linear, Mlp, ResNet20
from hiercls_plugins.datasets.digits import Digits, DigitsTwoViews
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier
from hiercls_plugins.ibp.trainer import Ibp
from hiercls_plugins.pgd.components import Pgd
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.trainer import Gaussian
from hiercls_plugins.standard.components import Standard

SHORT = Schedule(epochs=8, batch=32, rate=0.01)


class TestExactLinear(CertifierConformance):
    tight = True
    norms = (LINF, L2, L1, Norm(3.0))

    def make(self):
        return ExactLinear()


class TestIbpCertifier(CertifierConformance):
    tight = True
    distances = (0.02, 0.3)

    def make(self):
        return IbpCertifier(precision=0.002)


class TestSmoothing(CertifierConformance):
    sigma, draws = 0.25, 1000

    def make(self):
        return Smoothing(sigma=0.25, draws=1000, select=50, predict=200, audit=200, tile=100)


class TestSmoothingFromBothSides(CertifierConformance):
    def make(self):
        return Smoothing(sigma=0.25, draws=500, select=50, predict=200, audit=200, column="two-sided", tile=100)


class TestPgd(AttackConformance):
    norms = (LINF, L2, L1)

    def make(self):
        return Pgd(steps=40, restarts=2)


class TestStandard(TrainerConformance):
    def make(self):
        return Standard(schedule=SHORT)


class TestGaussian(TrainerConformance):
    norm = L2

    def make(self):
        return Gaussian(sigma=0.1, schedule=SHORT)


class TestIbp(TrainerConformance):
    def make(self):
        return Ibp(eps=0.05, ramp=(1, 5), schedule=SHORT)


class TestLinear(ArchitectureConformance):
    def make(self):
        return Linear()


class TestMlp(ArchitectureConformance):
    def make(self):
        return Mlp(hidden=(16, 8))


class TestCnnSmall(ArchitectureConformance):
    def make(self):
        return CnnSmall(width=16)


class TestCnn7(ArchitectureConformance):
    shapes = ((3, 32, 32),)

    def make(self):
        return Cnn7(width=16)


class TestResNet20(ArchitectureConformance):
    shapes = ((3, 32, 32),)

    def make(self):
        return ResNet20()


class TestDigits(DatasetConformance):
    def make(self):
        return Digits()


class TestDigitsTwoViews(DatasetConformance):
    def make(self):
        return DigitsTwoViews()
