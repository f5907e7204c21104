"""What the site takes from pyproject.toml and from the repository beside it.

The address of the repository is written in pyproject.toml alone. Pages link to files outside of
docs by relative paths, as the repository's own pages want them; on the site these become links to
the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(\]\()(\.\./[^)\s#]*)(#[^)\s]*)?(\))")


def project_url(name: str) -> str:
    """Read an address of ``[project.urls]``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    urls = text.partition("[project.urls]")[2].partition("\n[")[0]
    found = re.search(rf'^{name} = "(.+)"$', urls, re.MULTILINE)
    if found is None:
        raise ValueError(f"pyproject.toml has no {name} among [project.urls]")
    return found[1]


def on_config(config: Any) -> Any:
    """Set the addresses of the site and of the repository."""
    config.site_url = project_url("Documentation")
    config.repo_url = project_url("Repository")
    config.repo_name = "tnm_core"
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Make links that leave the folder of the documents lead to the repository."""
    return link_repository(markdown, page.file.src_uri, config.repo_url)


def link_repository(markdown: str, source: str, repository: str) -> str:
    """Rewrite the links of one page; ``source`` is its path within docs."""

    def rewrite(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), match[2]))
        if path.startswith("docs/"):
            return match[0]
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{match[1]}{repository}/{kind}/main/{path}{match[3] or ''}{match[4]}"

    return _LINK.sub(rewrite, markdown)
