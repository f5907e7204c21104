"""The child process of the fuzzer: cases one after the other, within bounds of memory and time."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.reader_fuzz.samples import Sample

CASES_OF_A_WORKER = 2000
FOUND = 3  # an exit status of its own: an error of the fuzzer itself is no finding
MEMORY = 1 << 30  # beyond what is in use once everything is imported


@dataclass(frozen=True)
class Case:
    """A case is determined by its seed and number."""

    seed: int
    number: int

    @property
    def rng(self) -> random.Random:
        """Random numbers of the case's own."""
        return random.Random(f"{self.seed}:{self.number}")


def main(arguments: list[str]) -> int:
    """Run cases, print and keep those in which something was found."""
    from tests.support.reader_fuzz.samples import make_samples

    seed, first, count = map(int, arguments[:3])
    keep, progress = map(Path, arguments[3:])
    samples = make_samples()
    _bound_memory()
    found = 0
    for number in range(first, first + count):
        progress.write_text(str(number))
        case = Case(seed, number)
        with tempfile.TemporaryDirectory() as place:
            problems = _run(case, samples, Path(place))
            if problems:
                found += 1
                kept = keep / f"{seed}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(place, kept, symlinks=True, ignore=_pipes)
                print(f"FOUND {seed}:{number}, kept in {kept}; replay it with python -m "
                      f"tests.support.reader_fuzz --replay {seed}:{number}")  # fmt: skip
                print("\n".join(problems), flush=True)
    return FOUND if found else 0


def _run(case: Case, samples: list[Sample], folder: Path) -> list[str]:
    from tests.support.reader_fuzz.commands import findings
    from tests.support.reader_fuzz.mutations import mutate

    rng = case.rng
    sample = rng.choice(samples)
    inside = folder / "in"
    inside.mkdir()
    for name, content in mutate(sample.files, rng).items():
        (inside / name).write_bytes(content)
    if rng.random() < 0.02:
        _replace(inside / rng.choice(sorted(sample.files)), rng)
    return [f"{sample.kind}: {problem}" for problem in findings(folder, sample.named, rng)]


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


def _replace(path: Path, rng: random.Random) -> None:
    """Put something in the place of a file that is none."""
    path.unlink()
    kind = rng.randrange(5)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.symlink_to("/dev/zero")
    elif kind == 3:
        path.symlink_to(path.name)
    # and in one case of five there is nothing


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
