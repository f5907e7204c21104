"""The report as Markdown."""

from __future__ import annotations

from typing import Any

from bench.context import Record
from bench.output.pages import PAGES
from bench.sections import SECTIONS

QUIET = 0.95
ABSENT = "This run could not measure it.\n"


def pages(results: dict[str, Any]) -> list[str]:
    """Name the pages that have a section which was run."""
    return [
        page
        for page in PAGES
        if any(section.page == page and section.name in results["sections"] for section in SECTIONS)
    ]


def part(results: dict[str, Any], page: str) -> dict[str, Any]:
    """Pick what a page is rendered from."""
    names = [section.name for section in SECTIONS if section.page == page]
    return {
        "machine": results["machine"],
        "sections": {k: v for k, v in results["sections"].items() if k in names},
        "plots": {k: v for k, v in results.get("plots", {}).items() if k == page},
    }


def render(results: dict[str, Any], page: str, images: str = "") -> str:
    """Render the sections of a page that were run; `images` is the folder of the plots."""
    parts = [PAGES[page], machine(results["machine"])]
    for section in SECTIONS:
        records = results["sections"].get(section.name)
        if section.page == page and records is not None:
            table = section.table(records) if records else ABSENT
            parts.append(f"## {section.title}\n\n{section.text}\n\n{table}")
    drawn = results.get("plots", {}).get(page, {})
    parts.extend(f"![{title}]({images}{name})\n" for name, title in drawn.items())
    return "\n".join(parts)


def _warning(facts: Record) -> str:
    if facts["processor_share"] >= QUIET:
        return ""
    return (
        "\n**Others were at work on this machine during the run: rates are too low and ratios "
        "distorted. Run again when it is quiet.**\n"
    )


def _date(facts: Record) -> str:
    return f" on {facts['date']}" if "date" in facts else ""


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def machine(facts: Record) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    library = facts["tnm_core"]
    details = ", ".join(
        f"{key.replace('_', ' ')} {_words(value)}"
        for key, value in library.items()
        if key not in ("version", "roads", "python", "numpy", "platform")
    )
    return (
        f"* processor: {facts['cpu']}, {facts['cores']} cores, "
        f"{' '.join(facts['vector_extensions'])}; {facts['system']}\n"
        f"* tnm_core {library['version']} ({details})\n"
        f"* Python {facts['python']}, {packages}\n"
        f"* peers in C++ built with {facts['benchmark_compiler'] or 'no compiler: left out'}\n"
        f"* {facts['mode']} run of {facts['seconds']:.0f} s{_date(facts)}, "
        f"on a machine that gave it {100 * facts['processor_share']:.0f} % of a core\n"
        f"{_warning(facts)}"
    )
