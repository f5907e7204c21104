"""Perplexity of a causal language model on a text, beside that of the model before pruning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tnm_core.cli.console import note
from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import Loaded, TextTokens, check_length, load, text_tokens
from tnm_core.cli.references import foreign_errors
from tnm_core.torch.evaluate import Perplexity, perplexity

Advance = Callable[[float], None]


@dataclass(frozen=True)
class PerplexityArguments:
    """Arguments of the command, as they were written."""

    model: Path
    text: Path
    original: Path | None
    length: int
    stride: int
    tokens: int | None
    threads: int | None


@dataclass(frozen=True)
class PerplexityReport:
    """Perplexities by model, the pruned one first, on the same windows of one text.

    `tokens` are those of the text, of which `used` were taken.
    """

    found: dict[str, Perplexity]
    length: int
    stride: int
    tokens: int
    used: int

    @property
    def ratio(self) -> float | None:
        """How many times the dense model's perplexity the pruned one's is; None without one."""
        if len(self.found) < 2:
            return None
        pruned, dense = self.found.values()
        return pruned.perplexity / dense.perplexity

    def as_json(self) -> dict[str, Any]:
        """Return figures for machines; null where there is no finite one."""
        return {
            "length": self.length,
            "stride": self.stride,
            "text_tokens": self.tokens,
            "used_tokens": self.used,
            "models": [
                {"model": name, **{key: _finite(value) for key, value in asdict(one).items()}}
                for name, one in self.found.items()
            ],
            "ratio": _finite(self.ratio),
        }


def measure_perplexity(arguments: PerplexityArguments, advance: Advance) -> PerplexityReport:
    """Measure one model after the other; `advance` is told the share that is done."""
    paths = [one for one in (arguments.model, arguments.original) if one is not None]
    found: dict[str, Perplexity] = {}
    text: TextTokens | None = None
    used = 0
    with _threads(arguments.threads):
        for position, path in enumerate(paths):
            loaded = _load(path, arguments)
            own = text_tokens(loaded, arguments.text)
            _check_same(text, own, paths)
            text = own
            part = replace(own, tokens=own.tokens[: arguments.tokens])
            used = len(part.tokens)

            def step(done: int, total: int, position: int = position) -> None:
                advance((position + done / total) / len(paths))

            found[str(path)] = _measure(loaded, part, arguments, step)
            del loaded  # one model at a time
    assert text is not None
    return PerplexityReport(found, arguments.length, arguments.stride, len(text.tokens), used)


def _load(path: Path, arguments: PerplexityArguments) -> Loaded:
    loaded = load(path)
    if not loaded.is_causal:
        raise CommandError(
            f"{path} holds a {type(loaded.model).__name__}; expected a causal language model, such "
            "as a LlamaForCausalLM"
        )
    check_length(loaded, arguments.length)
    for told in loaded.notes:
        note(told)
    return loaded


def _check_same(text: TextTokens | None, own: TextTokens, paths: list[Path]) -> None:
    """Perplexities of other tokens cannot be compared."""
    if text is None or (text.start == own.start and torch.equal(text.tokens, own.tokens)):
        return
    raise CommandError(
        f"the tokenizers of {paths[0]} and {paths[1]} make other tokens of the text; expected the "
        "same, so that perplexities can be compared"
    )


def _measure(
    loaded: Loaded,
    text: TextTokens,
    arguments: PerplexityArguments,
    step: Callable[[int, int], None],
) -> Perplexity:
    with foreign_errors("the model failed"):
        return perplexity(
            loaded.model,
            text.tokens,
            length=arguments.length,
            stride=arguments.stride,
            start_token=text.start,
            progress=step,
        )


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
