"""What is measured: the full cross product would take hours, so three cuts through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.products.problems import LAYERS
from bench.products.sparsity import PATTERNS


@dataclass(frozen=True)
class Case:
    """One problem, and who multiplies it with which masks.

    Patterns under `backward` get their input gradient and `update_` measured as well; those under
    `compressed_rows` are given to sparse peers. Where it is `cold`, no call follows another of its
    kind, so that the caches hold what others read, as they do in a model of many layers.
    """

    layer: str
    tokens: int
    dtype: str = "float32"
    patterns: tuple[str, ...] = PATTERNS
    backward: tuple[str, ...] = ()
    compressed_rows: tuple[str, ...] = ()
    cold: bool = False


BACKWARD = ("2:4", "16:32", "1:4")
COMPRESSED_ROWS = ("2:4", "1:4", "90 %")
FEW_PATTERNS = ("16:32", "1:4", "90 %")
SETTING_PATTERNS = ("2:4", "16:32", "1:4")
MAIN_TOKENS = 512
# Larger, when dense, than the last cache of most machines.
BEYOND_CACHES = "Llama-1B up"
TOKENS = {"MiniLM up": (1, 4, 16, 64, 512, 4096), BEYOND_CACHES: (1, 4, 16, 64, 512)}
# Quick runs.
FEW_LAYERS = ("MiniLM up",)
FEW_TOKENS = {"MiniLM up": (1, 16, 512)}


def _layers(quick: bool) -> list[Case]:
    """Every pattern and every layer, at one number of tokens."""
    return [
        Case(layer, MAIN_TOKENS, backward=BACKWARD, compressed_rows=COMPRESSED_ROWS)
        for layer in (FEW_LAYERS if quick else LAYERS)
    ]


def _tokens(quick: bool) -> list[Case]:
    """From one token to many, on a layer that fits into caches and one that does not."""
    chosen = FEW_TOKENS if quick else TOKENS
    return [
        Case(layer, tokens, patterns=FEW_PATTERNS, cold=layer == BEYOND_CACHES)
        for layer, counts in chosen.items()
        for tokens in counts
    ]


def _settings(quick: bool) -> list[Case]:
    """Both dtypes, under the instruction set and with the threads of the process."""
    layer = "MiniLM up" if quick else "BERT-base up"
    return [Case(layer, MAIN_TOKENS, dtype, SETTING_PATTERNS) for dtype in ("float32", "bfloat16")]


PLANS: dict[str, Callable[[bool], list[Case]]] = {
    "layers": _layers,
    "tokens": _tokens,
    "settings": _settings,
}
