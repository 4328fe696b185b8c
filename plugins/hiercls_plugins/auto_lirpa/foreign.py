"""What auto_LiRPA is allowed to change and to say while it works."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.precision import full_precision

UNSUPPORTED = "Name: "
"""How its log begins to name an operation that it does not know."""


@contextmanager
def at_work(device: str, task: str) -> Iterator[None]:
    """Its tables are made in the default dtype, so that this is float64; what it prints and logs is kept back.

    A trace freezes a branch that depends on the input: torch warns of one, and it is refused.

    Raises:
        HierclsError: whatever went wrong, as one sentence that begins with `task`. A lack of memory stays what it is.
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with full_precision(device), _unheard(), _logged() as said, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", torch.jit.TracerWarning)
            try:
                yield
            except (HierclsError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # noqa: BLE001 a foreign engine may fail in any way
                if "can't allocate memory" in str(error):
                    raise
                raise HierclsError(f"auto-lirpa: {task}: {_reason(error, said)}") from error
    finally:
        torch.set_default_dtype(default)


@contextmanager
def _unheard() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What its loggers say, which is neither printed nor passed on."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("auto_LiRPA")
    passed_on, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = passed_on


def _reason(error: Exception, said: list[str]) -> str:
    """The operations that it names in its log, or the first line of its error."""
    unknown = [line.removeprefix(UNSUPPORTED).partition(",")[0] for line in said if line.startswith(UNSUPPORTED)]
    if unknown:
        return f"no rule for {', '.join(dict.fromkeys(unknown))}"
    warned = error.__context__ if isinstance(error.__context__, torch.jit.TracerWarning) else error
    return next(iter(str(warned).splitlines()), "") or type(error).__name__
