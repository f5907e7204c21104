"""What all of these have in common: where results go, and what they were measured on."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench import machine
from bench.output import figures
from bench.output.kept import keep


def docs_option(prog: str, text: str | None) -> argparse.ArgumentParser:
    """Make a parser of the command line, with the folder of the documents."""
    lines = (text or "").splitlines()
    parser = argparse.ArgumentParser(prog=prog, description=lines[0] if lines else None)
    parser.add_argument("--docs", type=Path, help="keep the results there, and write the figures")
    return parser


def finish(results: dict[str, Any], name: str, docs: Path | None) -> None:
    """Add the machine and the date; keep the results, and name the pages that changed."""
    if docs is None:
        return
    facts = {**machine.describe(), "date": datetime.now(timezone.utc).date().isoformat()}
    keep({"machine": facts, **results}, docs, name)
    for page in figures.update(docs):
        print(page)
