"""Work in several processes of one machine."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from hiercls.verbs.memory import keep_freed_memory
from hiercls.words.errors import HierclsError


def in_processes(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    at_once: int | None = None,
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Call a function once for each tuple of arguments, each call in a process of its own.

    Args:
        at_once: how many run at the same time; all by default.
        watch: called about twice a second, to tell how far the work is.

    Raises:
        HierclsError: the first error that a call raised.
    """
    spawn = multiprocessing.get_context("spawn")
    failures = spawn.SimpleQueue()
    waiting = list(calls)
    running: list[Any] = []
    failed = False
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < (at_once or len(calls)):
            process = spawn.Process(target=_call, args=(function, waiting.pop(0), os.getpid(), failures))
            process.start()
            running.append(process)
        running[0].join(0.5)
        watch()
        failed = failed or any(process.exitcode for process in running)
        running = [process for process in running if process.exitcode is None]
    if not failures.empty():
        raise failures.get()
    if failed:
        raise HierclsError("a worker process ended before its work was done; run the same command again to go on")


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], parent: int, failures: Any) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    keep_freed_memory()
    try:
        function(*arguments)
    except HierclsError as error:
        failures.put(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(0)


def _end_with(parent: int) -> None:
    """A killed parent leaves no worker behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
