"""Run the command line: exit statuses, one-line errors, interrupts."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

from tnm_core.checkpoint import CheckpointError
from tnm_core.cli.app import app
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated, one_line

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # as a shell calls a program that a closed pipe has ended
_COMPLETION = "_TNM_COMPLETE"

# click's base class of usage errors; typer carries click under another name in some versions.
_UsageProblem: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with _terminate_by_exception():
            status = _invoke(arguments)
            sys.stdout.flush()
            return status
    except (KeyboardInterrupt, Terminated) as cause:
        return _stopped(cause, "no unfinished file is left")
    except StoppedMidway as stopped:
        return _stopped(stopped.cause, stopped.left)
    except BrokenPipeError:
        # The reader has gone (tnm inspect ... | head); the flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if _asks_for_help(arguments) else BROKEN_PIPE
    except (CommandError, CheckpointError) as error:
        return _fail(str(error), BAD_INPUT)
    except MemoryError as error:
        return _fail(f"not enough memory for the largest tensor ({error})", BAD_INPUT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", BAD_INPUT)


def _invoke(arguments: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    try:
        if _COMPLETION in os.environ:  # a shell asks what could follow; main knows how to answer
            command.main([], prog_name="tnm", standalone_mode=False)
        with command.make_context("tnm", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:  # how typer ends after completion
        return stop.code if isinstance(stop.code, int) else 0
    except _UsageProblem as error:
        message = str(getattr(error, "format_message", error.__str__)())
        where = getattr(getattr(error, "ctx", None), "command_path", "tnm")
        raise CommandError(f"{message.rstrip('.')} (see {where} --help)") from None
    return 0


def _asks_for_help(arguments: Sequence[str]) -> bool:
    """Tell whether nothing is lost with the rest of the output: its first lines were asked for."""
    return not arguments or not {"-h", "--help", "--version"}.isdisjoint(arguments)


def _stopped(cause: KeyboardInterrupt | Terminated, left: str) -> int:
    if isinstance(cause, Terminated):
        return _fail(f"terminated; {left}", 128 + cause.number)
    return _fail(f"interrupted; {left}", INTERRUPTED)


def _fail(message: str, status: int) -> int:
    print(f"tnm: {one_line(message)}", file=sys.stderr)
    return status


@contextmanager
def _terminate_by_exception() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP; nohup ignores it, and that stays
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
