"""All mistakes of a YAML, told at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from hiercls.wiring.yaml_source import Located, Mark
from hiercls.words.errors import ConfigurationError, HierclsError


@dataclass(frozen=True)
class Problem:
    """One mistake: where, the path of keys that leads there, and what would be right."""

    mark: Mark
    path: str
    text: str
    error: type[HierclsError] = ConfigurationError

    def __str__(self) -> str:
        return f"{self.mark} {self.path}: {self.text}" if self.path else f"{self.mark}: {self.text}"


@dataclass
class Problems:
    """Collects mistakes, so that one reading of a file tells all of them."""

    found: list[Problem] = field(default_factory=list)

    def add(self, source: Located, text: str, error: type[HierclsError] = ConfigurationError) -> None:
        """A mistake in a value."""
        self._add(Problem(source.mark, ".".join(source.path), text, error))

    def at_key(self, source: Located, text: str) -> None:
        """A mistake in the key that names a value."""
        self._add(Problem(source.key or source.mark, ".".join(source.path), text))

    def _add(self, problem: Problem) -> None:
        if problem not in self.found:
            self.found.append(problem)

    def settle(self) -> None:
        """Raise everything that was found, in the order of the file, as the one kind that it is of."""
        if not self.found:
            return
        kinds = {problem.error for problem in self.found}
        ordered = sorted(self.found, key=lambda problem: problem.mark)
        raise (kinds.pop() if len(kinds) == 1 else ConfigurationError)("\n".join(map(str, ordered)))


def suggestion(found: str, known: Iterable[str], noun: str = "known") -> str:
    """What would have been right: the nearest known name, or all of them."""
    names = sorted(known)
    if close := get_close_matches(found, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"{noun} are {listed(names)}" if names else "there are none"


def listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
