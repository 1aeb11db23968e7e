"""The command `reconciler`: finds the subcommand; maps errors to messages and exit codes.

The only place that exits. A subcommand's module is imported when it is used, so that `--help` starts fast. It must not
import heavy libraries, nor know what the commands do.
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

# Subcommand → its description. Its module is reconciler.commands.<name>, its function `command`.
COMMANDS = {
    "validate": "Check manifests and the project file; no network access.",
    "plan": "Show the changes that an apply would make; read-only.",
    "apply": "Apply manifests or a saved plan.",
    "run": "Run the agent, which keeps clusters in sync with their manifests.",
    "approve": "Approve a plan of the agent.",
    "drift": "Show differences between clusters and manifests, and which side changed.",
    "accept": "Accept drift: write live values into the manifests.",
    "export": "Export the live objects of a cluster as manifests.",
    "outputs": "Print the connection details of each database.",
    "kinds": "List the kinds, or the fields of one kind.",
    "explain": "Document a kind, metadata, the project file, or one of their fields.",
    "history": "List the runs in the ledger, or show one of them.",
    "snapshot": "Save the state of a cluster as input for the simulator.",
    "simulate": "Run the simulator, the embedded API server.",
    "demo": "Run the full demonstration on a simulated cluster.",
}

USAGE_CODE = 3  # a wrong flag is invalid input; click's own 2 means "changes" here
DEBUG_FLAG = "--debug"
COMPLETION = "_RECONCILER_COMPLETE"  # set by the shell when it asks click for completions

LONG_RUNNING = ("simulate", "demo", "run")  # the other commands end soon


class OutputClosed(Exception):
    """The reader of standard output closed it. click would swallow BrokenPipeError."""


def main() -> NoReturn:
    """Run the command line in `sys.argv` and exit with its code."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] not in LONG_RUNNING:
        gc.disable()  # the data stays until the end; collecting garbage costs a tenth of a run
    _open_missing_streams()
    try:
        code = quick(arguments)
        if code is None:
            code = run(arguments)
        if code == 0:
            sys.stdout.flush()
    except (BrokenPipeError, OutputClosed):
        code = 141  # 128 + SIGPIPE
    except OSError as error:
        code = report_error(error, debug=False)
    _silence_broken_streams()
    gc.freeze()  # the collection at interpreter exit would find nothing
    sys.exit(code)


def _open_missing_streams() -> None:
    """Open each standard stream that is closed; escape characters that the encoding of the terminal lacks."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), "r" if flags == os.O_RDONLY else "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _silence_broken_streams() -> None:
    """Redirect streams that cannot be written: flushing them at exit would change the exit code."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def quick(arguments: list[str]) -> int | None:
    """Handle arguments that need no library, and return the exit code; None for all others."""
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
  -h, --help  Print this help.

Exit codes: 0 done or nothing to do, 1 error, 2 changes or drift (where requested),
  3 invalid input, 4 cluster unreachable or refuses, 5 refused by this tool,
  6 partially applied, 130 interrupted.

Use "reconciler COMMAND --help" for the options of a command."""


def run(arguments: list[str]) -> int:
    """Run the command line *arguments* and return its exit code; failures are reported on standard error."""
    import click

    try:
        result = group().main(args=arguments, prog_name="reconciler", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "reconciler"
        say(f"error: {usage_text(error)}\nSee {where} --help")
        return USAGE_CODE
    except click.ClickException as error:
        say(f"error: {error.format_message()}")
        return USAGE_CODE
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; no change was left half done")
        return 130
    except (BrokenPipeError, OutputClosed):
        raise
    except Exception as error:
        return report_error(error, debug=DEBUG_FLAG in arguments)


def usage_text(error: click.UsageError) -> str:
    """Return what is wrong with the command line, with the option that was meant."""
    import click

    if error.ctx is None:
        return error.format_message()
    command = error.ctx.command
    if isinstance(error, click.NoSuchOption):
        if isinstance(command, click.Group):
            return f"options come after the command: reconciler COMMAND {error.option_name}"
        from reconciler.commands.habits import option_advice

        return option_advice(command, error.option_name)
    extra = error.message.startswith("Got unexpected extra argument")
    if extra and any("--file" in parameter.opts for parameter in command.params):
        return f"{error.format_message()}; manifests are named with -f"
    return error.format_message()


def report_error(error: Exception, *, debug: bool) -> int:
    """Print *error* on standard error and return its exit code."""
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
    say(f"with the traceback that {DEBUG_FLAG} prints.")
    return 1


def say(text: str) -> None:
    """Print *text* on standard error, with control characters made harmless."""
    clean = "".join(c if c in "\n\t" or c.isprintable() else ascii(c)[1:-1] for c in text)
    try:
        print(clean, file=sys.stderr)
    except OSError:
        return  # a closed stream must not change the exit code


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
                from reconciler.commands.habits import command_advice

                ctx.fail(f"unknown command {name!r}; {command_advice(name, list(COMMANDS))}")
            found = super().resolve_command(ctx, args)
            if found[1] is not None and any(one[:1] == "-" and one[1:2] not in "-" for one in args[1:]):
                from reconciler.commands.habits import single_dash

                advice = single_dash(found[1], args[1:])
                if advice:
                    raise click.UsageError(advice, click.Context(found[1], ctx, found[0]))
            return found

        def get_help(self, ctx: click.Context) -> str:
            return help_text()

    return Lazy(
        name="reconciler",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
