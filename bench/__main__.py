"""Run the benchmarks: `python -m bench [-o build/bench] [--quick] [--only SECTION ...]`.

With `--docs docs` the pages are written, and beside them `results/PAGE.json`, from which they come.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import machine
from bench.context import Context, Record, note
from bench.output import figures, pictures, report
from bench.output.kept import keep
from bench.sections import SECTIONS


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    again = options.again
    results = _measure(options) if again is None else json.loads(again.read_text())
    results["plots"] = pictures.draw_all(results["sections"], options.output)
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    _write(results, options.output, options.docs)
    return _complain(results["sections"])


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    context = Context(options.output, options.quick)
    started, share = perf_counter(), machine.processor_share()
    sections = {
        section.name: _run_section(section.name, context)
        for section in SECTIONS
        if not options.only or section.name in options.only
    }
    facts = machine.describe()
    facts["date"] = datetime.now(timezone.utc).date().isoformat()
    facts["mode"] = "quick" if options.quick else "full"
    facts["processor_share"] = min(share, machine.processor_share())
    facts["seconds"] = perf_counter() - started
    return {"machine": facts, "sections": sections}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/bench"))
    parser.add_argument("--quick", action="store_true", help="small matrices, under two minutes")
    parser.add_argument(
        "--only", nargs="+", metavar="SECTION", choices=[section.name for section in SECTIONS]
    )
    parser.add_argument(
        "--docs", type=Path, help="also write the pages of what was run, and images/, there"
    )
    parser.add_argument(
        "--again", type=Path, metavar="RESULTS",
        help="measure nothing: write the pages from the results.json of an earlier run",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _run_section(name: str, context: Context) -> list[Record]:
    section = next(section for section in SECTIONS if section.name == name)
    note(f"{section.title} ...")
    started = perf_counter()
    records = section.run(context)
    note(f"  {perf_counter() - started:.1f} s")
    return records


def _write(results: dict[str, Any], output: Path, docs: Path | None) -> None:
    pages = report.pages(results)
    table = "\n".join(report.render(results, page) for page in pages)
    (output / "table.md").write_text(table)
    if docs is not None:
        images = docs / "images"
        images.mkdir(parents=True, exist_ok=True)
        for page in pages:
            (docs / f"{page}.md").write_text(report.render(results, page, images="images/"))
            keep(report.part(results, page), docs, page)
        for name in (name for drawn in results["plots"].values() for name in drawn):
            shutil.copyfile(output / name, images / name)
        figures.update(docs)
    note(f"\n{table}")


def _complain(sections: dict[str, list[Record]]) -> int:
    """Exit status 1 if any peer's answer contradicts ours."""
    wrong = [r for records in sections.values() for r in records if r.get("disagreement")]
    for record in wrong:
        found = f"{record['peer']}, {record['case']}: {record['disagreement']}"
        print(f"DISAGREEMENT: {found}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
