"""Errors for users, each of one line."""

from __future__ import annotations

_MOST_CHARACTERS = 4000


class CommandError(Exception):
    """Bad usage or input: printed as one line, exit status 2."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like Ctrl-C, it unwinds and temporary files are removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StoppedMidway(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP stopped a command that leaves something on purpose.

    Attributes
    ----------
    cause : KeyboardInterrupt or Terminated
        What stopped it.
    left : str
        What is left, and what it is good for.
    """

    def __init__(self, cause: KeyboardInterrupt | Terminated, left: str) -> None:
        super().__init__(left)
        self.cause = cause
        self.left = left


def one_line(text: str) -> str:
    """Put a message on one line of readable length, without the teeth of control characters."""
    line = " ".join(text.split())
    if len(line) > _MOST_CHARACTERS:  # of names and values that strangers chose
        line = f"{line[: _MOST_CHARACTERS // 2]} ... {line[-_MOST_CHARACTERS // 2 :]}"
    return printable(line)


def printable(text: str) -> str:
    """Escape what a terminal would obey; names of tensors come from files of strangers."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
