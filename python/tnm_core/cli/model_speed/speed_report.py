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
    """Batches of one size: how many sentences and tokens, and the seconds of each variant."""

    batch_size: int
    sentences: int
    tokens: int
    seconds: dict[str, float]

    def speedup(self, variant: str) -> float:
        """Tell how many times as fast as dense a variant is."""
        return self.seconds[DENSE] / self.seconds[variant]

    def as_json(self) -> dict[str, Any]:
        """Return figures for machines."""
        variants = {
            name: {
                "seconds": seconds,
                "sentences_per_second": self.sentences / seconds,
                "tokens_per_second": self.tokens / seconds,
                "speedup": self.speedup(name),
            }
            for name, seconds in self.seconds.items()
        }
        measured = {"sentences": self.sentences, "tokens": self.tokens}
        return {"batch_size": self.batch_size, **measured, "variants": variants}


@dataclass(frozen=True)
class SpeedReport:
    """Speeds by batch size, what became of the outputs, and what packing did.

    Attributes
    ----------
    speeds : list of BatchSpeed
        Of sentences; empty for a causal language model.
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
