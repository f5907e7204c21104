"""Run the command line: exit statuses, one-line errors, interrupts."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, TextIO

import typer

from tnm_core.checkpoint import CheckpointError, LeftoverWarning
from tnm_core.cli.app import app
from tnm_core.cli.console import note
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated, one_line

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # as a shell calls a program that a closed pipe has ended
_COMPLETION = "_TNM_COMPLETE"

# click's base class of usage errors; typer carries click under another name in some versions.
_UsageProblem: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


def run(arguments: Sequence[str], *, ends_process: bool = False) -> int:
    """Run one command and return its exit status, with which the process may end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with _stopped_by_exception(ends_process), _leftovers_told():
        return _status(arguments)


def _status(arguments: Sequence[str]) -> int:
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
        return status
    except (KeyboardInterrupt, Terminated) as cause:
        return _stopped(cause, "no unfinished file is left")
    except StoppedMidway as stopped:
        return _stopped(stopped.cause, stopped.left)
    except BrokenPipeError:
        _drop_stdout()  # the reader has gone (tnm inspect ... | head)
        return 0 if _asks_for_help(arguments) else BROKEN_PIPE
    except (CommandError, CheckpointError) as error:
        return _fail(str(error), BAD_INPUT)
    except MemoryError as error:
        return _fail(f"not enough memory for the largest tensor ({error})", BAD_INPUT)
    except OSError as error:
        _drop_stdout()  # which may be what failed (tnm inspect ... > /dev/full)
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", BAD_INPUT)


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def _invoke(arguments: Sequence[str]) -> int:
    command = _command()
    try:
        if _COMPLETION in os.environ:  # a shell asks what could follow; main knows how to answer
            command.main([], prog_name="tnm", standalone_mode=False)
        # Commands that report how they were called find the arguments in their context.
        with command.make_context("tnm", list(arguments), obj=tuple(arguments)) as context:
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


def _drop_stdout() -> None:
    """Keep the flush at exit from complaining again, where stdout takes no more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped(cause: KeyboardInterrupt | Terminated, left: str) -> int:
    if isinstance(cause, Terminated):
        return _fail(f"terminated; {left}", 128 + cause.number)
    return _fail(f"interrupted; {left}", INTERRUPTED)


def _fail(message: str, status: int) -> int:
    print(f"tnm: {one_line(message)}", file=sys.stderr)
    return status


@contextmanager
def _stopped_by_exception(ends_process: bool) -> Iterator[None]:
    """Unwind at the first Ctrl-C, SIGTERM or SIGHUP; further ones would disturb the cleaning up."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if came:
            return
        came.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    # Windows has no SIGHUP. What is ignored (nohup, a shell's background job) stays so.
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    usual = (signal.SIG_DFL, signal.default_int_handler)
    handlers = {number: signal.getsignal(number) for number in numbers}
    handled = {number: old for number, old in handlers.items() if old in usual}
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, old in handled.items():
            # A process that was stopped ends now; a late signal must not change its status.
            signal.signal(number, signal.SIG_IGN if came and ends_process else old)


@contextmanager
def _leftovers_told() -> Iterator[None]:
    """Tell on stderr what was cleared away of runs that were killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", LeftoverWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, LeftoverWarning):
                note(str(message))
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
