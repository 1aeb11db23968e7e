"""The command `reconciler`: finds the subcommand, turns failures into text and exit codes.

The only place that exits. A subcommand's module is imported when it is used, so that `--help` and a typo cost
nothing; this module must not import anything heavy, and knows nothing of what the commands do.
"""

from __future__ import annotations

import gc
import io
import os
import sys

from reconciler import __version__

TYPE_CHECKING = False  # what type checkers take for True; the module typing alone would double the start-up time
if TYPE_CHECKING:
    from typing import NoReturn

    import click

# Subcommand → what it does. Its module is reconciler.commands.<name>, its function `command`.
COMMANDS = {
    "validate": "Check manifests and the project file, without any network.",
    "plan": "Show what an apply would do; reads, never writes.",
    "apply": "Make the clusters equal to the manifests, or do what a saved plan says.",
    "run": "Keep the clusters equal to their manifests: the agent.",
    "approve": "Let the agent apply the plan that it keeps.",
    "drift": "Compare the clusters with what was declared and last applied; exit 2 on drift.",
    "accept": "Take what a cluster has into the manifests.",
    "export": "Write manifests for what a cluster holds.",
    "outputs": "Print what applications need to connect to each database.",
    "kinds": "List what can be declared, or the fields of one kind.",
    "explain": "Explain a kind, metadata, the project file, or one of their fields.",
    "history": "List the runs in the ledger.",
    "snapshot": "Read a cluster into a file that the embedded API server can start from.",
    "simulate": "Serve the embedded API server.",
    "demo": "Play the whole story on a simulated cluster.",
}

USAGE_CODE = 3  # a wrong flag is invalid input; click's own 2 means "changes" here
DEBUG_FLAG = "--debug"
COMPLETION = "_RECONCILER_COMPLETE"  # set by the shell when it asks click for completions

SERVERS = ("simulate", "demo", "run")  # they live long; all other commands read, decide and end


class ReaderGone(Exception):
    """Whoever read standard output has closed it; a class of our own, since click swallows the system's."""


def main() -> NoReturn:
    """Run the command line in `sys.argv` and exit with its code."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] not in SERVERS:
        gc.disable()  # what is read stays until the end: searching it for garbage is a tenth of a run, and finds none
    _mend_streams()
    try:
        code = quick(arguments)
        if code is None:
            code = run(arguments)
        if code == 0:
            sys.stdout.flush()
    except (BrokenPipeError, ReaderGone):
        code = 141  # whoever read our output has seen enough
    except OSError as error:
        code = told(error, debug=False)
    _silence_broken_streams()
    gc.freeze()  # the interpreter collects once more on its way out; there is nothing to be had any more
    sys.exit(code)


def _mend_streams() -> None:
    """Give every stream something to work on, and a way to write what its encoding does not have."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), "r" if flags == os.O_RDONLY else "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _silence_broken_streams() -> None:
    """Point what cannot be written at nothing: Python would complain when it flushes at exit, and change the code."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def quick(arguments: list[str]) -> int | None:
    """Answer what needs no library at all, and return the exit code; None for everything else."""
    if arguments == ["--version"]:
        print(f"reconciler {__version__}")
    elif arguments in (["--help"], ["-h"]) or (not arguments and COMPLETION not in os.environ):
        print(help_text())
    else:
        return None
    return 0


def help_text() -> str:
    """Return what `reconciler --help` prints."""
    rows = "\n".join(f"  {name:<9} {what}" for name, what in COMMANDS.items())
    return f"""\
Usage: reconciler COMMAND [OPTIONS] [ARGS]...

  Declarative configuration for Redis Enterprise Software clusters.

Commands:
{rows}

Options:
  --version   Print the version.
  -h, --help  Print this; after a command, print what that command takes.

Exit codes: 0 done or nothing to do, 1 error, 2 changes or drift (where asked for),
  3 invalid input, 4 cluster unreachable or refusing, 5 refused by us, 6 applied in part,
  130 interrupted."""


def run(arguments: list[str]) -> int:
    """Run the command line *arguments* and return its exit code; every failure is told on standard error."""
    import click

    try:
        result = group().main(args=arguments, prog_name="reconciler", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "reconciler"
        say(f"error: {error.format_message()}\nFor what can be written here: {where} --help")
        return USAGE_CODE
    except click.ClickException as error:
        say(f"error: {error.format_message()}")
        return USAGE_CODE
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; nothing was left half done")
        return 130
    except (BrokenPipeError, ReaderGone):
        raise
    except Exception as error:
        return told(error, debug=DEBUG_FLAG in arguments)


def told(error: Exception, *, debug: bool) -> int:
    """Print *error* for people and return its exit code."""
    from reconciler.errors import InputError, ReconcilerError

    if debug:
        import traceback

        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, InputError):
        for problem in error.problems:
            say(f"error: {problem}")
        if len(error.problems) > 1:
            say(f"{len(error.problems)} problems; nothing was sent to a cluster.")
        return error.exit_code
    if isinstance(error, ReconcilerError):
        say(f"error: {error}")
        return error.exit_code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        say(f"error: {where}{(error.strerror or str(error)).lower()}")
        return 1
    say(f"error: unexpected {type(error).__name__}. This is a bug in reconciler {__version__}: please report it,")
    say(f"with what `{DEBUG_FLAG}` adds when you run the same command again.")
    return 1


def say(text: str) -> None:
    """Print *text* on standard error, with control characters made harmless."""
    clean = "".join(c if c in "\n\t" or c.isprintable() else ascii(c)[1:-1] for c in text)
    try:
        print(clean, file=sys.stderr)
    except OSError:
        return  # nobody listens, which must not decide about anything else


def group() -> click.Group:
    """Return the top of the command tree, with subcommands that are imported on use."""
    import click

    class Lazy(click.Group):
        """A group that knows its commands by name and imports the one that is used."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in COMMANDS:
                return None
            from importlib import import_module

            command: click.Command = import_module(f"reconciler.commands.{cmd_name}").command
            return command

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str | None, click.Command | None, list[str]]:
            name = args[0]
            if name not in COMMANDS and not name.startswith("-"):
                from difflib import get_close_matches

                near = get_close_matches(name, COMMANDS, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
                ctx.fail(f"no command {name!r}; {hint}")
            return super().resolve_command(ctx, args)

        def get_help(self, ctx: click.Context) -> str:
            return help_text()

    return Lazy(
        name="reconciler",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
