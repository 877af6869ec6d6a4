"""The command ``edge-lstm``: one module per command, imported when that command runs.

Start-up time counts on a device, so this module imports nothing but typer; each command imports what
it uses inside its function. Commands of the workstation (``edge-lstm-export``) are listed here too and
say how to install it where it is missing.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edge_lstm import __version__
from edge_lstm.cli.streams import abandon_output, prepare_streams, printable
from edge_lstm.errors import EdgeLSTMError, MissingPackageError

DEBUG_FLAG = "--debug"
WORKSTATION = "edge_lstm_export"


@dataclass(frozen=True)
class CommandEntry:
    """Where a command's module is, and the line that ``edge-lstm --help`` shows for it."""

    module: str
    summary: str

    @property
    def package(self) -> str:
        """The import package that holds it: edge_lstm, or edge_lstm_export on a workstation."""
        return self.module.partition(".")[0]


# In the order of the road: train → export → quantize → score → measure.
COMMANDS = {
    "quickstart": CommandEntry(
        "edge_lstm_export.cli.quickstart", "The whole road on the embedded checkpoint, in seconds."
    ),
    "train": CommandEntry("edge_lstm_export.cli.train", "Train a classifier from labelled text."),
    "export": CommandEntry("edge_lstm_export.cli.export", "Turn a checkpoint into one ONNX model file."),
    "quantize": CommandEntry("edge_lstm_export.cli.quantize", "Turn an fp32 model file into an int8 one."),
    "evaluate": CommandEntry(
        "edge_lstm.cli.evaluate", "Accuracy and the rest on labelled data, models side by side."
    ),
    "predict": CommandEntry(
        "edge_lstm.cli.predict", "Classify texts given as arguments or lines of standard input."
    ),
    "explain": CommandEntry("edge_lstm.cli.explain", "Show which words of a text moved the answer."),
    "score": CommandEntry("edge_lstm.cli.score", "Classify every row of files: files in, files out."),
    "latency": CommandEntry("edge_lstm.cli.latency", "Measure how fast this machine answers."),
    "inspect": CommandEntry("edge_lstm.cli.inspect", "Show everything a model file says of itself."),
    "doctor": CommandEntry(
        "edge_lstm.cli.doctor", "Check whether this device runs a model, and runs it right."
    ),
}


class LazyGroup(TyperGroup):
    """Imports a command's module only when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Command names in the order of the table."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The help's list, from the table: no command's module is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its module imported now; a stand-in where its package is not installed."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        try:
            command = import_module(entry.module).command
        except ModuleNotFoundError as error:
            if entry.package != WORKSTATION or (error.name or "").partition(".")[0] != WORKSTATION:
                raise
            return _command(cmd_name, _not_installed(cmd_name), entry.summary, any_arguments=True)
        return _command(cmd_name, command, entry.summary)


def _command(name: str, function: Callable[..., Any], summary: str, *, any_arguments: bool = False) -> Any:
    settings: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    if any_arguments:
        settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(name, context_settings=settings, short_help=summary)(function)
    return typer.main.get_command(one)


def _not_installed(name: str) -> Callable[[], None]:
    def command() -> None:
        raise MissingPackageError(
            f"'{name}' runs on a workstation and needs edge-lstm-export; "
            "install it with: pip install edge-lstm-export"
        )

    return command


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"edge-lstm {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=False)
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG_FLAG, help="Show the traceback of an error.")] = False,
) -> None:
    """Labelled text to one small ONNX file that classifies on a low-power CPU:
    train, export, quantize, score, measure.
    """


def run(arguments: Sequence[str]) -> None:
    """Runs one command in this process, as the command line would; errors are raised, not printed."""
    app(args=list(arguments), prog_name="edge-lstm", standalone_mode=False)


def main() -> None:
    """Entry point: runs the command; an error becomes one line on standard error and exit code 1."""
    arguments = sys.argv[1:]
    # --debug works before and after the command's name; what follows a bare -- is text.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = DEBUG_FLAG in arguments[:end]
    arguments = [a for a in arguments[:end] if a != DEBUG_FLAG] + arguments[end:]
    prepare_streams()
    try:
        try:
            app(args=arguments, prog_name="edge-lstm")
        finally:
            sys.stdout.flush()
    except EdgeLSTMError as error:
        if debug:
            raise
        _fail(str(error))
    except BrokenPipeError:
        # The reader went away (head, less): not an error of ours.
        abandon_output()
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        abandon_output()
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; check the path, its permissions and the disk")
    except MemoryError:
        if debug:
            raise
        _fail("out of memory; use a smaller --batch-size or shorter inputs")


def _fail(message: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be full or closed: the exit code still says it
        print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(1)
