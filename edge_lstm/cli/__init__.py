"""The command ``edge-lstm``: one module per command, imported when that command runs.

Start-up time counts on a device, so this module imports typer alone, and a command imports its
packages inside its function. The commands of the workstation (``edge_lstm_export``) are listed here
too; without their extra, they say how to install it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from edge_lstm._version import __version__
from edge_lstm.cli.limits import limit_met
from edge_lstm.cli.options import MODEL_ARGUMENTS
from edge_lstm.cli.streams import abandon_output, prepare_streams
from edge_lstm.errors import DataError, EdgeLSTMError, first_line
from edge_lstm.extras import check_installed, missing_package
from edge_lstm.printable import printable
from edge_lstm.system.signals import exit_code

DEBUG_FLAG = "--debug"
MODEL_SUFFIXES = (".onnx", ".safetensors")
WORKSTATION = "edge_lstm_export"
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class CommandEntry(NamedTuple):
    """A command in the list of ``edge-lstm --help``.

    summary: the line that the list shows.
    package: the import package with its module, in the folder ``cli``.
    """

    summary: str
    package: str = "edge_lstm"


# In the order of the road: train → export → score → measure.
COMMANDS = {
    "quickstart": CommandEntry("Try every step on example tickets, in a minute.", WORKSTATION),
    "train": CommandEntry("Train a classifier from labelled text.", WORKSTATION),
    "import": CommandEntry("Make a checkpoint of an LSTM of Keras or PyTorch.", WORKSTATION),
    "export": CommandEntry("Turn a checkpoint into one ONNX model file.", WORKSTATION),
    "evaluate": CommandEntry("Measure accuracy on labelled data, models side by side."),
    "predict": CommandEntry("Classify texts given as arguments or lines of standard input."),
    "explain": CommandEntry("Show which words of a text drive its prediction."),
    "score": CommandEntry("Classify every row of files."),
    "serve": CommandEntry("Answer questions over HTTP, and hand back what is unsure."),
    "suggest": CommandEntry("Choose the texts of a log to label next.", WORKSTATION),
    "latency": CommandEntry("Measure latency on this machine."),
    "inspect": CommandEntry("Show what a model file contains."),
    "page": CommandEntry("Write a web page that runs the model in the browser."),
    "doctor": CommandEntry("Check that this device runs a model correctly."),
}


class GroupedCommand(TyperCommand):
    """A command whose help lists options in groups.

    A group has the name of its panel.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what follows the command's name.

        Raise DataError for the name of a model file without -m in front of it.
        """
        arguments = [each for each in self.params if each.param_type_name == "argument"]
        takes_models = any("-m" in each.opts for each in self.params) and not any(
            each.name in MODEL_ARGUMENTS for each in arguments
        )
        if takes_models and not ctx.resilient_parsing:
            values, unexpected, _ = self.make_parser(ctx).parse_args(list(args))
            texts = list(unexpected)
            for each in arguments:
                given = values.get(str(each.name)) or ()
                texts += [given] if isinstance(given, str) else given
            # Even a file that is missing: a text that ends so has several words.
            # os.path.isfile() is False for one that is too long for a path; pathlib raises.
            models = [
                text
                for text in texts
                if text.endswith(MODEL_SUFFIXES)
                and (os.path.isfile(text) or len(text.split()) == 1)  # noqa: PTH113
            ]
            if models:
                raise DataError(f"{models[0]} names a model file; put -m before it")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the help's lists."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or default
            groups.setdefault(panel, []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class LazyGroup(TyperGroup):
    """Commands that are imported when they are called."""

    _from_table = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Typer lists these names, and suggests one of them for an unknown name.
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the help's list from the table, without an import of any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command's module and return the command.

        Raise MissingPackageError if its package is missing.
        """
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if self._from_table:
            return _command(cmd_name, lambda: None, entry.summary)
        if entry.package == WORKSTATION:
            check_installed("train", f"'{cmd_name}' runs on a workstation and")
            _check_folder()
        # The device side does no linear algebra in NumPy, and the threads for it double the time of
        # NumPy's import. Not for latency: it times the import as other programs have it.
        elif cmd_name != "latency":
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module = import_module(f"{entry.package}.cli.{cmd_name}")
        return _command(cmd_name, module.command, entry.summary)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return names and summaries from the table, without an import of any command."""
        self._from_table = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._from_table = False

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C and SIGTERM become an exit code, not an error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            sys.exit(exit_code(interrupt))


def _check_folder() -> None:
    """Raise DataError if the working folder was removed.

    PyTorch's libraries end the process in such a folder.
    """
    try:
        os.getcwd()  # noqa: PTH109 (no import)
    except OSError:
        raise DataError("the working folder was removed; change to another one (cd)") from None


def _command(name: str, function: Callable[..., Any], summary: str) -> Any:
    """Return a function as a command of Click."""
    single = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    decorate = single.command(
        name, cls=GroupedCommand, context_settings=_SETTINGS, short_help=summary
    )
    decorate(function)
    command = typer.main.get_command(single)
    for parameter in command.params:
        if hasattr(parameter.type, "readable"):
            # A file without permission is an error of the file, not of usage.
            parameter.type.readable = False
    return command


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=_SETTINGS,
)


def _show_version(requested: bool) -> None:
    if requested:
        print(f"edge-lstm {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=False)
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG_FLAG, help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Turn labelled text into one small ONNX file that classifies on a low-power CPU.

    The steps are train, export, score and measure.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command in this process, as the command line would; errors are raised, not printed.

    Return its exit code: 0, or the code of an interruption or of rows without an answer.
    """
    code = app(args=list(arguments), prog_name="edge-lstm", standalone_mode=False)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line; an error becomes one line on standard error and exit code 1."""
    arguments = sys.argv[1:]
    # --debug works before and after the command's name; what follows a bare -- is text.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = DEBUG_FLAG in arguments[:end]
    arguments = [a for a in arguments[:end] if a != DEBUG_FLAG] + arguments[end:]
    with _one_line(debug):
        prepare_streams()
        try:
            app(args=arguments, prog_name="edge-lstm")
        finally:
            # Flushed here and not when the process ends, so that a failed write is an error like
            # any other.
            sys.stdout.flush()


@contextmanager
def _one_line(debug: bool) -> Iterator[None]:
    """Turn an error in the block into one line on standard error and exit code 1."""
    try:
        yield
    except BrokenPipeError:
        # The reader went away (head, less). That needs no message.
        abandon_output()
        sys.exit(1)
    except (EdgeLSTMError, OSError, MemoryError, ImportError, RuntimeError) as error:
        limit = limit_met(error)
        if debug or (isinstance(error, RuntimeError) and limit is None):
            raise
        abandon_output()
        print(f"error: {printable(limit or _in_words(error))}", file=sys.stderr)
        sys.exit(1)


def _in_words(error: Exception) -> str:
    """Return the line for an error."""
    if isinstance(error, EdgeLSTMError):
        return str(error)
    if isinstance(error, ImportError):
        line = first_line(error)
        return str(missing_package(error) or f"{line}; run 'edge-lstm doctor' or install it again")
    what = str(error)
    if isinstance(error, OSError):
        what = error.strerror or what
        if error.filename:
            what += f" {error.filename}"
    return f"{what}; check the path, its permissions and the disk"
