"""Perplexity of a causal language model on a text, by a window that slides over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tnm_core.torch.calibrate.data import evaluating, first_tensor

# Rows of logits that are turned to probabilities at once.
_ROWS = 256
# Tokens with which a model is tried that must not look ahead.
_TRIED = 8

_Forward = Callable[[nn.Module, torch.Tensor], Any]


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts the tokens of a text.

    Attributes
    ----------
    perplexity : float
        exp of `loss`; that of a model that holds all tokens for equally likely is their number.
    loss : float
        Mean negative log-likelihood of a token, in nats.
    standard_error : float
        Of `loss`, by the scatter of the means of windows; NaN if there are fewer than two.
    tokens, windows : int
        Tokens that were predicted, and how often the model ran.
    """

    perplexity: float
    loss: float
    standard_error: float
    tokens: int
    windows: int


@dataclass(frozen=True)
class Window:
    """A run of tokens that a model gets, of which it is asked to predict those from `first` on."""

    start: int
    stop: int
    first: int


def windows(tokens: int, length: int, stride: int, *, first: int = 1) -> Iterator[Window]:
    """Yield windows in which each token from `first` on is predicted once.

    They begin every `stride` tokens, and end when the last token is in one.
    """
    predicted = first
    for start in range(0, tokens, stride):
        stop = min(start + length, tokens)
        if predicted < stop:
            yield Window(start, stop, predicted)
        predicted = stop
        if stop == tokens:
            return


@torch.no_grad()
def perplexity(
    model: nn.Module,
    tokens: torch.Tensor,
    *,
    length: int = 1024,
    stride: int | None = None,
    start_token: int | None = None,
    forward: _Forward | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Perplexity:
    """Measure how well a causal language model predicts a text, from windows of its tokens.

    Every token counts once. In the first window all but the first are predicted; in each later one
    those that the window before did not reach, so from at least ``length - stride`` tokens. Small
    strides cost more time and give lower perplexities: compare only such of one length and stride.

    Parameters
    ----------
    model : torch.nn.Module
        Returns logits of shape (1, tokens, vocabulary), alone or as ``logits`` or first tensor of
        what it returns; runs in evaluation mode. It is not changed.
    tokens : torch.Tensor of integers, shape (tokens,)
        The text.
    length : int
        Tokens of a window, at least 2.
    stride : int, optional
        Tokens between the beginnings of windows, less than `length`; by default half of it.
    start_token : int, optional
        What the model expects in front of any text. It takes one place in every window, and the
        first token of the text is predicted, too.
    forward : function of model and tokens of shape (1, length), optional
        Runs the model; by default the tokens are its only argument.
    progress : function of two int, optional
        Is told how many tokens are predicted, and how many there are.

    Returns
    -------
    Perplexity
        Sums are in float64.

    Raises
    ------
    TypeError
        If tokens are no integers, or the model returns no logits.
    ValueError
        If a number is out of range, there is no token to predict, a token is not in the
        vocabulary, logits are not finite, or the model looks at tokens ahead.

    Notes
    -----
    The sliding window is that of "Perplexity of fixed-length models" in the documentation of
    transformers. That a model does not look ahead is tried on the first tokens.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.evaluate import perplexity
    >>> class Uniform(torch.nn.Module):
    ...     def forward(self, tokens):
    ...         return torch.zeros(*tokens.shape, 50)
    >>> found = perplexity(Uniform(), torch.arange(40), length=16, stride=8)
    >>> round(found.perplexity, 4), found.tokens, found.windows
    (50.0, 39, 4)
    """
    stride = length // 2 if stride is None else stride
    _check(tokens, length, stride, start_token)
    run = forward or _forward
    own = length if start_token is None else length - 1
    first = 1 if start_token is None else 0
    spans = list(windows(len(tokens), own, stride, first=first))
    total, done = 0.0, 0
    means = []
    with evaluating(model):
        _check_causal(model, _with_start(tokens[: min(own, _TRIED)], start_token), run)
        for span in spans:
            loss = _loss(model, tokens, span, start_token, run)
            count = span.stop - span.first
            total, done = total + loss, done + count
            means.append(loss / count)
            if progress is not None:
                progress(done, len(tokens) - first)
    mean = total / done
    spread = math.nan
    if len(means) > 1:
        spread = float(torch.tensor(means, dtype=torch.float64).std()) / math.sqrt(len(means))
    return Perplexity(_exp(mean), mean, spread, done, len(spans))


def _check(tokens: torch.Tensor, length: int, stride: int, start_token: int | None) -> None:
    if not isinstance(tokens, torch.Tensor) or tokens.is_floating_point() or tokens.is_complex():
        kind = tokens.dtype if isinstance(tokens, torch.Tensor) else type(tokens).__name__
        raise TypeError(f"tokens is a {kind}, expected a tensor of integers")
    if tokens.ndim != 1:
        raise ValueError(f"tokens has shape {tuple(tokens.shape)}, expected one axis")
    if length < 2:
        raise ValueError(f"length is {length}, expected at least 2")
    if not 1 <= stride < length:
        raise ValueError(
            f"stride is {stride}, expected 1 to {length - 1}, less than the length, so that each "
            "token has another one before it"
        )
    least = 2 if start_token is None else 1
    if len(tokens) < least:
        raise ValueError(f"tokens holds {len(tokens)}, expected at least {least}")


def _forward(model: nn.Module, tokens: torch.Tensor) -> Any:
    return model(tokens)


def _with_start(tokens: torch.Tensor, start_token: int | None) -> torch.Tensor:
    given = tokens.long()
    if start_token is not None:
        given = torch.cat([given.new_tensor([start_token]), given])
    return given[None]


def _logits(model: nn.Module, tokens: torch.Tensor, run: _Forward) -> torch.Tensor:
    """Return logits of shape (tokens, vocabulary)."""
    output = run(model, tokens)
    logits = getattr(output, "logits", None)
    logits = first_tensor(output) if logits is None else logits
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        raise TypeError(
            f"the model returns a {type(output).__name__} without logits, expected those of a "
            "causal language model; give forward="
        )
    if logits.ndim != 3 or logits.shape[:2] != tokens.shape:
        raise ValueError(
            f"the model returns logits of shape {tuple(logits.shape)} for {tokens.shape[1]} "
            f"tokens, expected (1, {tokens.shape[1]}, vocabulary)"
        )
    return logits[0]


def _check_causal(model: nn.Module, tokens: torch.Tensor, run: _Forward) -> None:
    """Raise `ValueError` if the last token changes what is said of those before it."""
    if tokens.shape[1] < 2:
        return
    other = tokens.clone()
    other[0, -1] = other[0, 0] if bool(other[0, 0] != other[0, -1]) else (other[0, 0] == 0).long()
    logits, changed = (_logits(model, one, run)[:-1].float() for one in (tokens, other))
    if not bool(logits.isfinite().all()):
        return  # told with its place when the text is run
    if not torch.allclose(logits, changed, rtol=0, atol=1e-2 * float(logits.abs().max())):
        raise ValueError(
            f"the {type(model).__name__} looks at the tokens that it should predict, expected a "
            "causal language model; perplexity is no measure of another one"
        )


def _loss(
    model: nn.Module, tokens: torch.Tensor, span: Window, start_token: int | None, run: _Forward
) -> float:
    """Sum up the negative log-likelihoods of the tokens of a window that are predicted."""
    logits = _logits(model, _with_start(tokens[span.start : span.stop], start_token), run)
    targets = tokens[span.first : span.stop].long().to(logits.device)
    if int(targets.min()) < 0 or int(targets.max()) >= logits.shape[1]:
        raise ValueError(
            f"tokens from {span.first} to {span.stop} run from {int(targets.min())} to "
            f"{int(targets.max())}, expected 0 to {logits.shape[1] - 1}, the model's vocabulary"
        )
    logits = logits[-1 - len(targets) : -1]
    total = 0.0
    for rows, wanted in zip(torch.split(logits, _ROWS), torch.split(targets, _ROWS), strict=True):
        wide = torch.promote_types(rows.dtype, torch.float32)
        total += float(
            functional.cross_entropy(rows.to(wide), wanted, reduction="none").double().sum()
        )
    if not math.isfinite(total):
        raise ValueError(
            f"the model returns NaN or infinite values for tokens {span.start} to {span.stop}, "
            "expected finite ones"
        )
    return total


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
