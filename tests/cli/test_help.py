"""Help at any width, how tnm is called, and output that nobody reads to the end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tnm

COMMANDS = [
    "prune",
    "calibrate",
    "check",
    "inspect",
    "convert",
    "diversity",
    "plot mask",
    "plot retained",
    "plot diversity",
    "eval perplexity",
    "bench linear",
    "bench model",
]
GROUPS = ["", "plot", "eval", "bench"]
START = [sys.executable, "-m", "tnm_core"]


@pytest.mark.parametrize("width", ["80", "60"])
@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS])
def test_no_word_is_split(
    tnm: Tnm, monkeypatch: pytest.MonkeyPatch, command: str, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = tnm(*command.split(), "--help")
    assert result.status == 0, result.err
    assert tnm(*command.split(), "-h").out == result.out
    assert max(map(len, result.out.splitlines())) <= int(width)
    assert "..." not in result.out.replace("[ARGS]...", "").replace("{REPORT}...", "")
    for mark in ("<bool>", "<str>\n", "int range", "╭"):
        assert mark not in result.out
    monkeypatch.setenv("COLUMNS", "79")
    assert tnm(*command.split(), "--help").out.split() == result.out.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_use_options_that_exist(tnm: Tnm, command: str) -> None:
    text = tnm(*command.split(), "--help").out
    example = text.partition("  Example:\n")[2].replace("\\\n", " ")
    lines = [shlex.split(line) for line in example.splitlines() if line.strip()]
    assert any(" ".join(line).startswith(f"tnm {command} ") for line in lines)
    for line in lines:
        other = next(one for one in COMMANDS if " ".join(line).startswith(f"tnm {one} "))
        help_text = tnm(*other.split(), "--help").out
        options = {word for word in line if word.startswith("-")}
        assert options <= {word.rstrip(",") for word in help_text.split()}, line


def test_every_command_has_a_line(tnm: Tnm) -> None:
    for group in GROUPS:
        listed = tnm(*group.split(), "-h").out.partition("Commands:\n")[2].splitlines()
        names = {line.split()[0] for line in listed}
        prefix = f"{group} ".lstrip()
        expected = {one.removeprefix(prefix).split()[0] for one in COMMANDS if prefix in one}
        assert names == expected
        assert all(line.endswith(".") for line in listed)


@pytest.mark.parametrize("arguments", [["--help"], ["prune", "-h"], [], ["--version"]])
def test_help_for_a_reader_that_goes_away(arguments: list[str]) -> None:
    process = subprocess.Popen([*START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait() == 0


def test_as_a_module() -> None:
    done = subprocess.run(
        [*START, "inspect", "no such file"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("tnm: no such file does not exist")


def _complete(words: str, position: int) -> list[str]:
    variables = {"_TNM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    done = subprocess.run(
        START, capture_output=True, text=True, check=True, env={**os.environ, **variables}
    )
    return done.stdout.split()


def test_shells_are_told_what_could_follow() -> None:
    assert _complete("tnm p", 1) == ["prune", "plot"]
    assert _complete("tnm plot mask --den", 3) == ["--dense"]


def test_completion_is_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [*START, "--install-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
    )
    assert "completion installed" in done.stdout
    script = tmp_path / ".bash_completions" / "tnm.sh"
    assert "_TNM_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
