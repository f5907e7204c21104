"""Perplexity against closed forms and a naive loop over single tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from tnm_core.torch.evaluate import perplexity, windows

VOCABULARY = 11


class Uniform(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.full((*tokens.shape, VOCABULARY), 3.0)


class Summing(nn.Module):
    """Logits by the mean of the embeddings so far, so that all of the context counts."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(VOCABULARY, 8), nn.Linear(8, VOCABULARY)
        self.dropout = nn.Dropout(0.5)
        self.seen: list[int] = []

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append(tokens.shape[1])
        counts = torch.arange(1, tokens.shape[1] + 1)[:, None]
        state = self.dropout(self.embedding(tokens)).cumsum(1) / counts
        return {"logits": 4 * self.head(state)}


def _text(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _naive(
    model: nn.Module, tokens: torch.Tensor, length: int, stride: int, start: int | None = None
) -> float:
    """Predict each token alone, from the window that counts it: the earliest that holds it."""
    model.eval()
    prefix = [] if start is None else [start]
    own = length - len(prefix)
    losses = []
    for place in range(0 if prefix else 1, len(tokens)):
        begin = 0
        while begin + own <= place:
            begin += stride
        context = torch.tensor([*prefix, *tokens[begin:place].tolist()])
        logits = model(context[None])["logits"][0, -1].double()
        losses.append(float(torch.logsumexp(logits, 0) - logits[tokens[place]]))
    return math.exp(sum(losses) / len(losses))


@pytest.mark.parametrize(
    ("length", "stride", "start"),
    [(8, 4, None), (8, 1, None), (7, 3, None), (64, 8, None), (8, 3, 5), (9, 8, 2), (64, 1, 0)],
)
def test_against_a_naive_loop(length: int, stride: int, start: int | None) -> None:
    model, tokens = Summing(), _text(45)
    found = perplexity(model, tokens, length=length, stride=stride, start_token=start)
    assert found.perplexity == pytest.approx(_naive(model, tokens, length, stride, start), rel=1e-5)
    assert found.tokens == len(tokens) - (start is None)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert max(model.seen[2:]) <= length


def test_a_uniform_model_has_the_vocabulary_as_its_perplexity() -> None:
    for length, stride, count in [(2, 1, 2), (5, 4, 33), (8, 3, 40), (1024, 512, 40)]:
        found = perplexity(Uniform(), _text(count), length=length, stride=stride)
        assert found.perplexity == pytest.approx(VOCABULARY, rel=1e-6)


def test_a_model_that_knows_one_bit() -> None:
    """Half of the probability on the right token: perplexity 2, whatever else it holds likely."""

    class Knowing(nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(*tokens.shape, VOCABULARY)
            following = (tokens + 1) % VOCABULARY
            return logits.scatter(2, following[..., None], math.log(VOCABULARY - 1))

    counting = torch.arange(60) % VOCABULARY
    found = perplexity(Knowing(), counting, length=9, stride=4)
    assert found.perplexity == pytest.approx(2.0, rel=1e-6)
    assert found.standard_error == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_windows_predict_each_token_once(first: int) -> None:
    for tokens in range(2, 30):
        for length in range(2, 12):
            for stride in range(1, length + 1):
                found = list(windows(tokens, length, stride, first=first))
                places = [p for one in found for p in range(one.first, one.stop)]
                assert places == list(range(first, tokens))
                assert all(one.stop - one.start <= length for one in found)
                later = found[1:]
                assert all(one.first - one.start >= length - stride for one in later)


def test_the_model_stays_as_it_is() -> None:
    model = Summing().train()
    told: list[tuple[int, int]] = []
    found = perplexity(model, _text(30), length=8, progress=lambda *now: told.append(now))
    again = perplexity(model, _text(30).to(torch.int32), length=8, stride=4)
    assert found == again  # no dropout
    assert model.training
    assert told[-1] == (29, 29)
    assert len(told) == found.windows


def test_the_standard_error_is_that_of_windows() -> None:
    model, tokens = Summing(), _text(12)
    first = perplexity(model, tokens[:8], length=8)
    assert math.isnan(first.standard_error)
    both = perplexity(model, tokens, length=8, stride=4)
    second = (both.loss * 11 - first.loss * 7) / 4
    assert both.standard_error == pytest.approx(abs(first.loss - second) / 2, rel=1e-6)


def test_other_ways_to_run_a_model() -> None:
    model = Summing()
    found = perplexity(model, _text(30), forward=lambda one, ids: (one(ids)["logits"].bfloat16(),))
    assert found.perplexity == pytest.approx(perplexity(model, _text(30)).perplexity, rel=0.02)


class LookingAhead(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(tokens.roll(-1), VOCABULARY).float()


class Broken(Summing):
    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(tokens)["logits"] / 0}


class Pooled(Summing):
    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(tokens)["logits"].mean(1)}


@pytest.mark.parametrize(
    ("model", "tokens", "options", "error", "told"),
    [
        (Uniform(), _text(9).float(), {}, TypeError, "tensor of integers"),
        (Uniform(), [1, 2], {}, TypeError, "tokens is a list"),
        (Uniform(), _text(9)[None], {}, ValueError, "expected one axis"),
        (Uniform(), _text(1), {}, ValueError, "holds 1, expected at least 2"),
        (Uniform(), _text(0), {"start_token": 1}, ValueError, "holds 0, expected at least 1"),
        (Uniform(), _text(9), {"length": 1}, ValueError, "length is 1"),
        (Uniform(), _text(9), {"length": 4, "stride": 4}, ValueError, "stride is 4, .* 1 to 3"),
        (Uniform(), _text(9), {"stride": 0}, ValueError, "stride is 0"),
        (Uniform(), _text(9) + 9, {}, ValueError, "expected 0 to 10, the model's vocabulary"),
        (LookingAhead(), _text(9), {}, ValueError, "looks at the tokens that it should predict"),
        (Broken(), _text(9), {}, ValueError, "NaN or infinite values for tokens 0 to 9"),
        (Pooled(), _text(9), {}, ValueError, r"logits of shape \(1, 11\)"),
        (nn.Embedding(VOCABULARY, 3), _text(9), {"forward": lambda *_: None}, TypeError, "logits"),
    ],
)  # fmt: skip
def test_refused(
    model: nn.Module, tokens: Any, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        perplexity(model, tokens, **options)
