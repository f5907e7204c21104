"""The page of all commands is made of what the command line says of itself."""

from __future__ import annotations

import pytest

from tests.docs.documents import ROOT
from tests.docs.hooks import load_hook


@pytest.fixture(scope="module")
def reference() -> str:
    return str(load_hook("command_reference").command_reference())


def test_every_command_and_option_is_there(reference: str) -> None:
    import typer

    from tnm_core.cli.app import app

    sections = {part.partition("\n")[0]: part for part in reference.split("## ")[1:]}
    waiting = [("tnm", typer.main.get_command(app))]
    seen = 0
    while waiting:
        name, command = waiting.pop()
        section, seen = sections.pop(name), seen + 1
        waiting += [
            (f"{name} {word}", one) for word, one in getattr(command, "commands", {}).items()
        ]
        for parameter in command.params:
            for option in parameter.opts if parameter.opts[0].startswith("-") else ():
                assert option in section, f"{name} {option}"
    assert sections == {}
    assert seen > 10


def test_tables_and_examples_are_markdown(reference: str) -> None:
    section = reference.partition("## tnm check\n")[2].partition("## ")[0]
    assert section.startswith("\n```text\ntnm check [OPTIONS] FILE\n```\n\nCheck that weights,")
    assert "| `-p, --pattern N:M` | N of M are kept, like 2:4;" in section
    assert "| `--three-d <auto\\|skip\\|stacked\\|conv1d>` | How 3-D tensors are read;" in section
    assert "```bash\ntnm check pruned.safetensors\n" in section
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


def test_page_has_the_place_for_it() -> None:
    hook = load_hook("command_reference")
    assert hook.MARKER in (ROOT / "docs" / hook.PAGE).read_text()


def test_links_out_of_the_documents_lead_to_the_repository() -> None:
    link = load_hook("project").link_repository
    site = "https://x.org/r"
    assert link("[a](../README.md#b)", "x.md", site) == f"[a]({site}/blob/main/README.md#b)"
    assert link("[a](../examples)", "x.md", site) == f"[a]({site}/tree/main/examples)"
    assert link("[a](../limits.md)", "api/x.md", site) == "[a](../limits.md)"
    assert link("[a](../../LICENSE)", "api/x.md", site) == f"[a]({site}/blob/main/LICENSE)"
