"""Options of the workstation's commands."""

from __future__ import annotations

from typing import Any

import typer


def option(
    metavar: str | None,
    text: str,
    panel: str | None = None,
    *names: str,
    default: str | bool = False,
    **settings: Any,
) -> Any:
    """Return an option with its help, a flag without metavar.

    default: in words, or True for its value.
    panel: its heading.
    """
    if isinstance(default, str):
        # Typer would put it in parentheses
        text = f"{text}  [default: {default}]"
        default = False
    settings |= {"metavar": metavar, "help": text, "show_default": default}
    return typer.Option(*names, rich_help_panel=panel, **settings)
