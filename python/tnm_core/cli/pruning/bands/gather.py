"""Results of tasks, in any order, to the figures of layers, as one process would add them up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tnm_core.checkpoint import Checkpoint
from tnm_core.cli.pruning.bands.tasks import CopyTask, Task, TaskResult
from tnm_core.cli.pruning.layer_mask import Settings, UnstructuredScore, complete
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor


@dataclass
class _Layer:
    """A layer of which some tasks are not done."""

    missing: set[int] = field(default_factory=set)
    results: dict[int, TaskResult] = field(default_factory=dict)


class FiguresOfLayers:
    """Gathers results until all tasks of a layer are done, and reports on it then."""

    def __init__(self, source: Checkpoint, settings: Settings, tasks: Iterable[Task]) -> None:
        self._source, self._settings = source, settings
        self._layers: dict[str, _Layer] = {}
        self._reports: dict[str, PrunedTensor] = {}
        for number, task in enumerate(tasks):
            if not isinstance(task, CopyTask):
                self._layers.setdefault(task.name, _Layer()).missing.add(number)
        self._order = [*self._layers]

    def add(self, number: int, task: Task, result: TaskResult) -> None:
        """Add the result of a task."""
        layer = self._layers.get(task.name)
        if isinstance(task, CopyTask) or layer is None:
            return
        layer.missing.discard(number)
        layer.results[number] = result
        if not layer.missing:
            self._reports[task.name] = self._report(task.name, layer)
            del self._layers[task.name]

    @property
    def reports(self) -> list[PrunedTensor]:
        """Those of layers that are done, in the order of the tasks."""
        return [self._reports[name] for name in self._order if name in self._reports]

    def _report(self, name: str, layer: _Layer) -> PrunedTensor:
        info = self._source.tensors[name]
        report = PrunedTensor.of(info)
        whole = UnstructuredScore(info, self._settings, in_one_block=False)
        unstructured = None
        for _, result in sorted(layer.results.items(), key=lambda item: item[0]):
            for panel in result.panels:
                report.add(panel)
            if whole.counts is not None and result.magnitudes is not None:
                assert result.counts is not None
                whole.counts.add_found(result.magnitudes, result.counts)
            if result.unstructured is not None:
                unstructured = result.unstructured
        if unstructured is None:
            unstructured = whole.total(lambda: ())
        complete(report, self._settings, unstructured)
        return report
