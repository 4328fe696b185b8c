"""Progress on stderr: how far, how fast, how long still."""

import sys
import time

import click

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 30.0

SHARES = ("accuracy", "certified at")
"""How the names of numbers begin that are shown in percent."""


class TerminalProgress:
    """One line that is rewritten on a terminal; elsewhere a line now and then.

    A piece of work is named by its text facts (network, prover, system); the time left is that of the piece,
    from its own start, unless it tells one as `eta` in seconds. A number called `draws` counts up and is shown
    as a rate. A text called `note` is a line that stays.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._piece: tuple[str, ...] | None = None
        self._began = (0.0, 0.0)
        self._shown = float("-inf")
        self._last: tuple[tuple[str, ...], float] | None = None

    def __call__(self, done: float, total: float, **facts: float | str) -> None:
        if "note" in facts:
            self._note(str(facts["note"]))
            return
        now = time.monotonic()
        piece = tuple(str(fact) for fact in facts.values() if isinstance(fact, str))
        if piece != self._piece:
            self._piece, self._began, self._shown = piece, (now, done), float("-inf")
        if done < total and now - self._shown < (TERMINAL_SECONDS if self._terminal else LOG_SECONDS):
            return
        if not self._terminal and (piece, done) == self._last:
            return
        self._shown, self._last = now, (piece, done)
        numbers = {name: fact for name, fact in facts.items() if not isinstance(fact, str)}
        self._write(" · ".join([*piece, *self._figures(done, total, now, numbers)]))

    def close(self) -> None:
        """End the line that is rewritten."""
        if self._terminal and self._piece is not None:
            click.echo(err=True)

    def _figures(self, done: float, total: float, now: float, facts: dict[str, float]) -> list[str]:
        seconds, gained = now - self._began[0], done - self._began[1]
        left = facts.pop("eta", seconds * (total - done) / gained if gained > 0 else None)
        figures = [f"{_amount(done)} of {_amount(total)}"]
        for name, fact in facts.items():
            if name != "draws":
                figures.append(f"{name} {fact:.2%}" if name.startswith(SHARES) else f"{name} {fact:.4g}")
            elif seconds > 0:
                figures.append(f"{fact / seconds:,.0f} draws/s")
        return [*figures, f"{clock(left)} left"] if left and done < total else figures

    def _note(self, line: str) -> None:
        self._piece = None
        click.echo(f"\r\x1b[K{line}" if self._terminal else line, err=True)

    def _write(self, line: str) -> None:
        if self._terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)


def _amount(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss.

    >>> clock(3725)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
