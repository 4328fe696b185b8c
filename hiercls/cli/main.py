"""The command line: `hiercls COMMAND`."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from traceback import print_exception
from types import FrameType

import click

import hiercls
from hiercls.cli.lazy import Lazy, LazyGroup
from hiercls.words.errors import DataError, DeviceError, HierclsError

INTERRUPTED = 130
_HERE = "hiercls.cli.commands"
_COMMANDS = {
    name: Lazy(f"{_HERE}.{name}:{name}", summary)
    for name, summary in {
        "check": "What a YAML means, or every mistake in it at once.",
        "tree": "Draw the label tree, or write a derived one as groups.",
        "run": "Train, evaluate, certify, audit and report.",
        "train": "Train the networks that are not trained yet.",
        "evaluate": "Clean accuracy, end to end and node by node.",
        "certify": "Prove radii, one row an input.",
        "audit": "Attack every certificate inside its own radius.",
        "report": "Tables, CSV and one HTML page of what is certified.",
        "predict": "Answer inputs, with the path to each answer.",
        "status": "What of a run is done.",
        "plugins": "What the installed plugins bring, and which are broken.",
        "schema": "The JSON schema of a YAML, for editors.",
        "doctor": "Versions, devices and data of this machine.",
    }.items()
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hiercls.__version__, prog_name="hiercls")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error was raised.")
def app() -> None:
    """Robust classifiers as hierarchies of label sets, certified end to end."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0, or the code of the kind of mistake."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = app.main([word for word in given if word != "--traceback"], "hiercls", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"stopped; the same command goes on from here: {shlex.join(['hiercls', *given])}", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing is left to tell
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(HierclsError.exit_code)
    except (HierclsError, OSError, MemoryError, RuntimeError) as error:
        told = _told(error)
        if told is None:
            raise
        if "--traceback" in given:
            print_exception(error)
        click.echo(str(told), err=True)
        sys.exit(told.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """A termination ends as Ctrl-C does, also where a shell made a background job ignore Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _told(error: Exception) -> HierclsError | None:
    """An error as one of ours; None for a fault of the program."""
    if isinstance(error, HierclsError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return DataError(f"{where}{error.strerror or error}")
    if isinstance(error, MemoryError) or _out_of_memory(error):
        return DeviceError(
            f"out of memory ({str(error).splitlines()[0] if str(error) else 'host'}); use a smaller --batch"
        )
    return None


def _out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
