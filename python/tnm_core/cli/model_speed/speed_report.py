"""What was measured of a model, for tables and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tnm_core.cli.model_speed.generation import GenerationSpeed
from tnm_core.cli.model_speed.output_change import OutputChange
from tnm_core.cli.model_speed.variants import DENSE
from tnm_core.cli.skips import skip_json
from tnm_core.torch import InferenceReport


@dataclass(frozen=True)
class BatchSpeed:
    """Batches of one size: how many samples, and the seconds of each variant.

    Attributes
    ----------
    unit : str
        What a sample is called, in the plural: sentences or images.
    tokens : int, optional
        Of all sentences together, padding left out.
    """

    batch_size: int
    unit: str
    samples: int
    tokens: int | None
    seconds: dict[str, float]

    def speedup(self, variant: str) -> float:
        """Tell how many times as fast as dense a variant is."""
        return self.seconds[DENSE] / self.seconds[variant]

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of what is counted: samples, and tokens if they have some."""
        tokens = {} if self.tokens is None else {"tokens": self.tokens}
        return {self.unit: self.samples, **tokens}

    def rates(self, variant: str) -> dict[str, float]:
        """Tell how many of each a variant takes in a second."""
        return {unit: count / self.seconds[variant] for unit, count in self.counts.items()}

    def as_json(self) -> dict[str, Any]:
        """Return figures for machines."""
        variants = {
            name: {
                "seconds": seconds,
                **{f"{unit}_per_second": rate for unit, rate in self.rates(name).items()},
                "speedup": self.speedup(name),
            }
            for name, seconds in self.seconds.items()
        }
        return {"batch_size": self.batch_size, **self.counts, "variants": variants}


@dataclass(frozen=True)
class SpeedReport:
    """Speeds by batch size, what became of the outputs, and what packing did.

    Attributes
    ----------
    speeds : list of BatchSpeed
        Of sentences or images; empty for a causal language model.
    generation : list of GenerationSpeed
        Of a causal language model; else empty.
    changes : dict of (str, str) to OutputChange
        By variant, and by what it was compared with.
    """

    dtype: str
    threads: int
    speeds: list[BatchSpeed]
    changes: dict[tuple[str, str], OutputChange]
    packing: InferenceReport
    generation: list[GenerationSpeed] = field(default_factory=list)

    @property
    def packed_bytes(self) -> tuple[int, int]:
        """What the weights that were packed took, and what they take."""
        weights = self.packing.packed.values()
        return sum(one.dense_bytes for one in weights), sum(one.packed_bytes for one in weights)

    def as_json(self) -> dict[str, Any]:
        """Return figures for machines."""
        dense, packed = self.packed_bytes
        return {
            "dtype": self.dtype,
            "threads": self.threads,
            "speeds": [one.as_json() for one in self.speeds],
            "generation": [one.as_json() for one in self.generation],
            "changes": [
                {"variant": variant, "against": against, **asdict(change)}
                for (variant, against), change in self.changes.items()
            ],
            "memory": {
                "model_bytes": self.packing.bytes_before,
                "packed_model_bytes": self.packing.bytes_after,
                "weights_bytes": dense,
                "packed_weights_bytes": packed,
            },
            "packed": {name: asdict(one) for name, one in self.packing.packed.items()},
            "left_dense": [
                {"name": name, **skip_json(skip)} for name, skip in self.packing.skips.items()
            ],
        }
