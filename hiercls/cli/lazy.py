"""A click group that imports a command when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from hiercls.words.errors import PluginError


@dataclass(frozen=True)
class Lazy:
    """A command before it is imported: `module:attribute`, and its line in the help."""

    target: str
    summary: str

    def load(self) -> click.Command:
        module, _, name = self.target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """First the project's own commands, in the order of the work; then those that plugins add."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **settings: Any):
        super().__init__(*args, **settings)
        self._lazy = lazy
        self._asked_plugins = False

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a plugin's command.

        Raises:
            PluginError: the name is taken.
        """
        name = name or cmd.name or ""
        if name in self._lazy or name in self.commands:
            raise PluginError(f"the command {name!r} is there already; the plugin must call it otherwise")
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins()
        return [*self._lazy, *sorted(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy:
            return self._lazy[cmd_name].load()
        self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(
                f"unknown command {args[0]!r}; " + (f"did you mean {near[0]!r}?" if near else "see hiercls --help")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(name)) for name in self.list_commands(ctx)])

    def _summary(self, name: str) -> str:
        return self._lazy[name].summary if name in self._lazy else self.commands[name].get_short_help_str(limit=100)

    def _ask_plugins(self) -> None:
        if not self._asked_plugins:
            from hiercls.wiring.registry import Registry

            self._asked_plugins = True
            Registry.load().commands(self)
