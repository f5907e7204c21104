"""The command and the versions that made a page."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from xml.etree.ElementTree import Element

from tnm_core.build_info import build_info
from tnm_core.cli.report_page.markup import add, add_section

# Those of them that the run has imported are named.
_PACKAGES = ("numpy", "scipy", "torch", "transformers", "safetensors", "ml_dtypes", "gguf")


def add_origin(main: Element, arguments: Sequence[str]) -> None:
    """Give what it takes to do the same again."""
    section = add_section(main, "How this was made")
    add(section, "pre", shlex.join(["tnm", *arguments]))
    table = add(section, "table", class_="origin")
    body = add(table, "tbody")
    for label, value in _versions():
        row = add(body, "tr")
        add(row, "th", label, scope="row")
        add(row, "td", value, class_="breakable")
    row = add(body, "tr")
    add(row, "th", "ended", scope="row")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    add(add(row, "td"), "time", f"{now:%Y-%m-%d %H:%M:%S} UTC", datetime=now.isoformat())


def _versions() -> Iterator[tuple[str, str]]:
    built = build_info()
    yield "tnm_core", f"{built['version']}, compiled by {built['compiler']}"
    yield "instruction set", str(built["instruction_set"])
    yield "processors", str(built["threads"])
    yield "platform", f"{platform.system()} {platform.machine()}"
    yield "Python", platform.python_version()
    for package in _PACKAGES:
        if package in sys.modules:
            try:
                yield package, version(package)
            except PackageNotFoundError:
                yield package, "not told"
