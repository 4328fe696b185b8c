"""A first Ctrl-C, or the end of the time, stops handing out work; what is in flight is finished."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Says whether to stop; asked before each new piece of work."""

    def __init__(self, seconds: float | None = None):
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted = False

    def __call__(self) -> bool:
        return self.interrupted or (self._deadline is not None and time.monotonic() > self._deadline)


@contextmanager
def stopping(seconds: float | None = None) -> Iterator[Stop]:
    """Turn the first Ctrl-C into a stop; the second interrupts at once.

    Raises:
        KeyboardInterrupt: at the end, if there was a Ctrl-C.
    """
    stop = Stop(seconds)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if stop.interrupted:
            raise KeyboardInterrupt
        stop.interrupted = True

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
    if stop.interrupted:
        raise KeyboardInterrupt
