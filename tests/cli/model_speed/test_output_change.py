"""How far outputs move: entries without padding, and the means of sentences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_speed.output_change import output_change

MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
BATCH = {"input_ids": torch.zeros(2, 3, dtype=torch.long), "attention_mask": MASK}


def _returns(value: torch.Tensor) -> Callable[..., tuple[torch.Tensor]]:
    return lambda **_: (value,)


def test_hidden_states_without_padding() -> None:
    expected = torch.zeros(2, 3, 2)
    expected[..., 0] = 4.0
    found = expected.clone()
    found[0, 2] = torch.tensor([1e6, -1e6])  # padding
    found[0, 1] = torch.tensor([0.0, 4.0])  # the mean of the sentence is (2, 2), at 45 degrees
    change = output_change(_returns(found), _returns(expected), [BATCH])
    assert change.largest == 4.0
    assert change.scale == 4.0
    assert change.least_cosine == pytest.approx(0.5**0.5)
    assert change.mean_cosine == pytest.approx((1 + 0.5**0.5) / 2)


def test_scores_of_classes_and_several_batches() -> None:
    expected = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    found = torch.tensor([[3.0, 0.0], [0.0, -2.5]])
    change = output_change(_returns(found), _returns(expected), [BATCH, BATCH])
    assert (change.largest, change.scale) == (4.5, 3.0)
    assert (change.least_cosine, change.mean_cosine) == pytest.approx((-1.0, 0.0))


def test_maps_of_images_are_compared_by_their_means_over_positions() -> None:
    expected = torch.zeros(1, 2, 2, 3)  # channels, and positions behind them
    expected[:, 0] = 1.0
    found = expected.clone()
    found[0, 0, 0, 0], found[0, 1, 0, 0] = -5.0, 6.0  # the means are (0, 1)
    batch = {"pixel_values": torch.zeros(1, 3, 4, 6)}
    change = output_change(_returns(found), _returns(expected), [batch])
    assert (change.largest, change.scale) == (6.0, 1.0)
    assert change.least_cosine == pytest.approx(0.0, abs=1e-12)


def test_outputs_of_other_shapes_are_refused() -> None:
    with pytest.raises(CommandError, match=r"\(2, 3, 4\) and \(2, 3, 5\).*same kind of model"):
        output_change(_returns(torch.ones(2, 3, 4)), _returns(torch.ones(2, 3, 5)), [BATCH])
