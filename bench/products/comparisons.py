"""Records against one another: speed-ups within one case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.context import Record
from bench.products.peers import TORCH

Setting = tuple[object, ...]
_SETTING = ("plan", "layer", "tokens", "dtype", "instruction_set", "threads")


def setting(record: Record) -> Setting:
    """What all contenders of a case have in common."""
    return tuple(record[name] for name in _SETTING)


class Comparisons:
    """The measurements of products, with the dense times beside each."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = [record for record in records if record.get("kind") != "limits"]
        self._best: dict[Setting, Record] = {}
        self._torch: dict[Setting, Record] = {}
        for record in self.records:
            if record["kind"] != "dense":
                continue
            key = (*setting(record), record["work"])
            best = self._best.setdefault(key, record)
            if record["seconds"] < best["seconds"]:
                self._best[key] = record
            if record["peer"] == TORCH.name:
                self._torch[key] = record

    def ours(self, plan: str, work: str = "forward") -> list[Record]:
        return [
            record
            for record in self.records
            if (record["plan"], record["kind"], record["work"]) == (plan, "ours", work)
        ]

    def of_plan(self, plan: str) -> list[Record]:
        return [record for record in self.records if record["plan"] == plan]

    def best_dense(self, record: Record) -> Record | None:
        return self._best.get((*setting(record), record["work"]))

    def times_best(self, record: Record) -> float | None:
        """Tell how many times as fast as the best dense product of the case."""
        return _times(self.best_dense(record), record)

    def times_torch(self, record: Record) -> float | None:
        return _times(self._torch.get((*setting(record), record["work"])), record)

    def share_of_update(self, record: Record) -> float | None:
        """Give `update_` as a share of the forward product and the input gradient."""
        products = [
            other["seconds"]
            for work in ("forward", "gradient")
            for other in self.ours(record["plan"], work)
            if (setting(other), other["pattern"]) == (setting(record), record["pattern"])
        ]
        return record["seconds"] / sum(products) if len(products) == 2 else None


def _times(dense: Record | None, record: Record) -> float | None:
    return None if dense is None else dense["seconds"] / record["seconds"]


def limits_of(records: Sequence[Record], instruction_set: str) -> Record | None:
    found = (
        record
        for record in records
        if record.get("kind") == "limits" and record["instruction_set"] == instruction_set
    )
    return next(found, None)
