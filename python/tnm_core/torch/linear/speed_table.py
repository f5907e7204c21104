"""Measured speeds of layers, by device, dtype and shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tnm_core.pattern import as_pattern
from tnm_core.torch.linear.linear_spec import LinearSpec


@dataclass(frozen=True)
class Speed:
    """How a sparse layer compares with a dense one.

    Attributes
    ----------
    device : str
        Name of the GPU, or ``"cpu"``.
    dtype : str
        Such as ``"bfloat16"``.
    out_features, in_features, tokens : int
        Shapes of weight and input.
    pattern, backend : str
        What was measured.
    speedup : float
        Time of a dense step (forward product and both gradients) over that of a sparse one, with
        packing.
    algorithms : tuple of tuples of int, optional
        What cuSPARSELt multiplied by, forward and, where that is sparse, for the input gradient;
        layers that get the table use it and do not search.
    """

    device: str
    dtype: str
    out_features: int
    in_features: int
    tokens: int
    pattern: str
    backend: str
    speedup: float
    algorithms: tuple[tuple[int, int, int], ...] | None = None

    @property
    def worthwhile(self) -> bool:
        """Whether sparse products were faster."""
        return self.speedup > 1.0

    def is_of(self, spec: LinearSpec, backend: str) -> bool:
        """Tell whether this was measured on such products, by that back end."""
        shape = (self.out_features, self.in_features)
        products = (self.device, self.dtype, *shape, self.pattern)
        return self.backend == backend and products == spec.described


class SpeedTable:
    """Measurements that `backend="auto"` consults; `benchmark_layer` makes them.

    Parameters
    ----------
    speeds : iterable of Speed
        What was measured; of equal situations the last one counts.

    Examples
    --------
    >>> from tnm_core.torch import Speed, SpeedTable
    >>> table = SpeedTable([Speed("a GPU", "bfloat16", 64, 64, 8, "2:4", "cusparselt", 0.4)])
    >>> len(table), next(iter(table)).worthwhile
    (1, False)
    """

    def __init__(self, speeds: Iterable[Speed] = ()) -> None:
        self._speeds: dict[tuple[Any, ...], Speed] = {}
        for speed in speeds:
            self.add(speed)

    def __len__(self) -> int:
        return len(self._speeds)

    def __iter__(self) -> Iterator[Speed]:
        return iter(self._speeds.values())

    def add(self, speed: Speed) -> None:
        """Take a measurement in, in place of an earlier one of the same situation."""
        situation = {**asdict(speed), "speedup": None, "algorithms": None}
        key = tuple(situation.values())
        self._speeds.pop(key, None)
        self._speeds[key] = speed

    def find(self, spec: LinearSpec, backend: str = "cusparselt") -> Speed | None:
        """Return the measurement of the same device, dtype and shape with the most tokens."""
        return max(self.of(spec, backend), key=lambda speed: speed.tokens, default=None)

    def of(self, spec: LinearSpec, backend: str) -> list[Speed]:
        """List the measurements of the same device, dtype and shape, for any number of tokens."""
        return [speed for speed in self if speed.is_of(spec, backend)]

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, beside its place first."""
        target = Path(path)
        beside = target.with_name(target.name + ".partial")
        beside.write_text(json.dumps([asdict(speed) for speed in self], indent=1) + "\n")
        beside.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> SpeedTable:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is something else.
        """
        try:
            return cls(_speed(item) for item in json.loads(Path(path).read_bytes()))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{path} is not a table of speeds, expected what SpeedTable.save wrote"
            ) from None


def _speed(item: Any) -> Speed:
    """Make a `Speed` of one entry; numbers have to be numbers."""
    for name in ("out_features", "in_features", "tokens", "speedup"):
        item[name] + 0.0
    algorithms = item.get("algorithms")
    if algorithms is not None:
        algorithms = tuple((int(a), int(b), int(c)) for a, b, c in algorithms)
        if len(algorithms) != (2 if as_pattern(item["pattern"]).transposable else 1):
            raise ValueError(f"{len(algorithms)} algorithms of a layer at {item['pattern']}")
    return Speed(**{**item, "algorithms": algorithms})
