"""The one place that imports torchvision."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from hiercls.words.errors import PluginError

_MISSING = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[Any] = []
"""Operator libraries live as long as someone holds them."""


def torchvision() -> ModuleType:
    """Import torchvision, also beside a CPU torch that its compiled operators do not load into.

    The wheels on PyPI link CUDA. Where exactly their operators are missing, the schemas that torchvision
    registers shapes for are defined and the import is tried again: everything but the operators works. They are
    never defined before a healthy import, which would then fail.

    Raises:
        PluginError: torchvision is not installed, or does not import for another reason.
    """
    try:
        return import_module("torchvision")
    except ImportError as error:
        raise PluginError(f"torchvision is needed ({error}); install hiercls with its extra [vision]") from None
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise PluginError(f"torchvision does not import: {error}") from error
    _define_missing()
    try:
        return import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise PluginError(f"torchvision does not import beside this torch: {error}") from error


def _define_missing() -> None:
    """Define the operators' schemas and forget the half-imported package."""
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _kept.append(library)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
