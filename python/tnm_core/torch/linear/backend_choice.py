"""Which back end multiplies for a layer, and why."""

from __future__ import annotations

from typing import NamedTuple

from tnm_core.torch.linear.backends import BACKENDS, BackendName, Task
from tnm_core.torch.linear.speed_table import SpeedTable


class Choice(NamedTuple):
    """A back end and the reason for it.

    Attributes
    ----------
    backend : str or None
        None if the one that was asked for cannot be used; `reason` then says what to do.
    reason : str
        Why.
    """

    backend: str | None
    reason: str


def choose_backend(requested: BackendName, task: Task, speeds: SpeedTable | None = None) -> Choice:
    """Take the back end that was asked for, or pick one.

    Parameters
    ----------
    requested : {"auto", "cusparselt", "dense", "emulate"}
        ``"auto"`` takes cuSPARSELt where its rules hold and no measurement speaks against it, else
        the dense product.
    task : Task
        What is to be multiplied.
    speeds : SpeedTable, optional
        Measurements of `benchmark_layer`.
    """
    if requested != "auto":
        chosen = BACKENDS[requested]
        in_the_way = chosen.objection(task) or chosen.obstacle(task)
        return Choice(None, in_the_way) if in_the_way else Choice(requested, "asked for")
    sparse = BACKENDS["cusparselt"]
    in_the_way = sparse.objection(task) or sparse.obstacle(task)
    if in_the_way:
        return Choice("dense", f"cusparselt cannot: {in_the_way}")
    measured = None if speeds is None else speeds.find(task)
    if measured is None:
        return Choice("cusparselt", "its rules hold; its speed was not measured")
    verdict = f"{measured.speedup:.2f}x the dense speed at {measured.tokens} tokens, measured"
    return Choice("cusparselt" if measured.worthwhile else "dense", f"cusparselt has {verdict}")
