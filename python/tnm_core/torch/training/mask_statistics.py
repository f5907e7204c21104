"""What the masks of a model did while it trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.layers import MaskedWeight

# Each takes a block of device memory, so that they are read now and then even if nobody asks.
_MOST_UNREAD = 1024


@dataclass(frozen=True)
class MaskStatistics:
    """One refresh of one layer's mask.

    Attributes
    ----------
    step : int
        Optimizer steps so far.
    layer : str
        Its name.
    pattern : str
        Of the new mask.
    sad : int
        Sparse architecture divergence: entries in which the new mask differs from the one before
        (Zhou et al., ICLR 2021).
    flip_rate : float
        The same as a share of all entries.
    retained : float
        Share of the total score that the new mask keeps.
    density : float
        Share of the entries that it keeps.
    """

    step: int
    layer: str
    pattern: str
    sad: int
    flip_rate: float
    retained: float
    density: float


class RefreshRecords:
    """Records refreshes; their figures stay on the device until somebody reads them."""

    def __init__(self) -> None:
        self._read: list[MaskStatistics] = []
        self._unread: list[_Refresh] = []

    def add(
        self,
        step: int,
        weight: MaskedWeight,
        mask: torch.Tensor,
        pattern: Pattern,
        sums: torch.Tensor,
    ) -> None:
        """Record a refresh, given the new mask and the sums of the kept scores and of all."""
        counts = torch.stack((torch.count_nonzero(weight.mask ^ mask), torch.count_nonzero(mask)))
        figures = torch.cat((counts.to(sums), sums))
        self._unread.append(_Refresh(step, weight.name, str(pattern), mask.numel(), figures))
        if len(self._unread) >= _MOST_UNREAD:
            self.read()

    def read(self) -> list[MaskStatistics]:
        """Return all records, always in the same list; waits once for each device."""
        unread, self._unread = self._unread, []
        devices = {refresh.figures.device for refresh in unread}
        figures: dict[int, list[float]] = {}
        for device in devices:
            here = [at for at, refresh in enumerate(unread) if refresh.figures.device == device]
            rows = torch.stack([unread[at].figures for at in here]).tolist()
            figures.update(zip(here, rows, strict=True))
        self._read.extend(refresh.as_record(figures[at]) for at, refresh in enumerate(unread))
        return self._read


class _Refresh(NamedTuple):
    """A refresh whose figures were not read yet: entries changed and kept, scores kept and all."""

    step: int
    layer: str
    pattern: str
    entries: int
    figures: torch.Tensor

    def as_record(self, figures: list[float]) -> MaskStatistics:
        changed, held, kept, total = figures
        entries = max(self.entries, 1)
        return MaskStatistics(
            step=self.step,
            layer=self.layer,
            pattern=self.pattern,
            sad=int(changed),
            flip_rate=changed / entries,
            retained=kept / total if total else 1.0,
            density=held / entries,
        )
