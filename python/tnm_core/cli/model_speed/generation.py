"""How fast causal language models take a prompt, and go on from it token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import arguments_of
from tnm_core.cli.model_speed.rounds import LEAST_ROUNDS
from tnm_core.cli.model_speed.variants import DENSE


@dataclass(frozen=True)
class PhaseSeconds:
    """Seconds for all prompts at once, and then for all new tokens, one after the other."""

    prefill: float
    decode: float


@dataclass(frozen=True)
class GenerationSpeed:
    """Texts side by side: tokens of each prompt, tokens that follow, seconds of each variant."""

    batch_size: int
    prompt_tokens: int
    new_tokens: int
    seconds: dict[str, PhaseSeconds]

    def rates(self, variant: str) -> tuple[float, float]:
        """Tell the tokens a second of all texts together, in prefill and in decoding."""
        taken = self.seconds[variant]
        prompts = self.batch_size * self.prompt_tokens
        return prompts / taken.prefill, self.batch_size * self.new_tokens / taken.decode

    def speedups(self, variant: str) -> tuple[float, float]:
        """Tell how many times as fast as dense a variant is, in prefill and in decoding."""
        pairs = zip(self.rates(variant), self.rates(DENSE), strict=True)
        prefill, decode = (own / dense for own, dense in pairs)
        return prefill, decode

    def as_json(self) -> dict[str, Any]:
        """Return figures for machines."""
        return {
            "batch_size": self.batch_size,
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
            "variants": {name: self._variant(name) for name in self.seconds},
        }

    def _variant(self, name: str) -> dict[str, float]:
        (prefill, decode), (faster, decodes_faster) = self.rates(name), self.speedups(name)
        return {
            "prefill_seconds": self.seconds[name].prefill,
            "decode_seconds": self.seconds[name].decode,
            "prefill_tokens_per_second": prefill,
            "decode_tokens_per_second": decode,
            "prefill_speedup": faster,
            "decode_speedup": decodes_faster,
        }


def generation_speed(
    models: Mapping[str, Any],
    texts: torch.Tensor,
    prompt_tokens: int,
    seconds: float,
    advance: Callable[[float], None],
) -> GenerationSpeed:
    """Time models in turns on the same texts, shape (texts, tokens), each phase at its fastest.

    All go on with the tokens of the texts, whatever they would say themselves. They do so for
    `seconds` of all together, and three times at least; `advance` is told the share that is done.
    """
    best = {name: PhaseSeconds(float("inf"), float("inf")) for name in models}
    began, rounds = time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or time.perf_counter() - began < seconds:
        for name, model in models.items():
            now, so_far = _once(model, texts, prompt_tokens), best[name]
            best[name] = PhaseSeconds(
                min(now.prefill, so_far.prefill), min(now.decode, so_far.decode)
            )
        rounds += 1
        advance(min(1.0, rounds / LEAST_ROUNDS, (time.perf_counter() - began) / seconds))
    count, tokens = texts.shape
    return GenerationSpeed(count, prompt_tokens, tokens - prompt_tokens, best)


def _once(model: Any, texts: torch.Tensor, prompt_tokens: int) -> PhaseSeconds:
    taken = arguments_of(model)
    # As in generation, the head looks at the last token alone where a model lets one say so.
    options: dict[str, Any] = {"use_cache": True}
    if "logits_to_keep" in taken:
        options["logits_to_keep"] = 1
    name = "cache" if "cache" in taken else "past_key_values"  # in transformers before 5.24
    began = time.perf_counter()
    cache = _cache_of(model, model(input_ids=texts[:, :prompt_tokens], **options), name)
    filled = time.perf_counter()
    for place in range(prompt_tokens, texts.shape[1]):
        token = texts[:, place : place + 1]
        cache = _cache_of(model, model(input_ids=token, **{name: cache}, **options), name)
    return PhaseSeconds(filled - began, time.perf_counter() - filled)


def _cache_of(model: Any, output: Any, name: str) -> Any:
    cache = getattr(output, name, None)
    if cache is None:
        raise CommandError(
            f"a {type(model).__name__} returns no {name}; expected a model that keeps keys and "
            "values of the tokens before, to time decoding"
        )
    return cache
