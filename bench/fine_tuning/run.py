"""One run: calibrate, fine-tune, measure before, on the way and after."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from bench import machine
from bench.fine_tuning.arms import Arm
from bench.fine_tuning.measuring import Measuring
from bench.fine_tuning.task import Encoded, Task
from bench.study.runs import Result
from examples.bert_encoder import BertEncoder, padded_batches, token_batches
from examples.encoder_distillation import Distillation, Distiller
from tnm_core.torch import prune_model_, sparsify_

Tell = Callable[[str], None]

RECIPE = "best"
TOKENS = 512
POINTS = 8


def run(task: Task, arm: Arm, path: Path, tell: Tell) -> Result:
    """Calibrate and fine-tune a fresh model, or go on where a run was interrupted.

    What is known is kept in a file, and what is needed to go on in another beside it, which is
    gone when the run comes to its end.
    """
    started = _Run(task, arm, path)
    tell(f"{arm}: calibrated, {_cosines(started.result['calibrated'])}")
    for point in started.points():
        told = {kind: {"cosine": value} for kind, value in point["cosine"].items()}
        tell(f"{arm}: step {point['step']}, loss {point['loss']:.4f}, {_cosines(told)}")
    result = started.finish()
    tell(f"{arm}: fine-tuned, {_cosines(result['fine-tuned'])}")
    return result


def _cosines(measures: dict[str, dict[str, float]]) -> str:
    told = ", ".join(f"{kind} {one['cosine']:.4f}" for kind, one in measures.items())
    return f"cosine on {told}"


class _Run:
    """A model that is calibrated, and its training at the point where it was left."""

    def __init__(self, task: Task, arm: Arm, path: Path) -> None:
        self._path, self._checkpoint = path, path.with_suffix(".pt")
        header = {**arm.to_dict(), "recipe": RECIPE, "tokens a step": TOKENS}
        dense, self._model = task.model(), task.model()
        text = task.training(arm.text, arm.seed)
        self._measuring = Measuring(dense, task.pools(arm.seed))
        state = _checkpoint(self._checkpoint, header)
        if state is None:
            seconds = _calibrate(self._model, text[: arm.sentences], arm.pattern)
            self.result = header | {
                "calibration seconds": seconds,
                "calibrated": self._measuring.whole(self._model),
                "calibrated few": self._measuring.few(self._model),
                "points": [],
                "fine-tuned": None,
            }
        else:
            sparsify_(self._model, arm.pattern)
            self.result = state["result"]
        how = Distillation(arm.steps, arm.learning_rate)
        self._distiller = Distiller(self._model, dense, arm.pattern, how)
        if state is not None:
            self._distiller.load_state_dict(state["distiller"])
        self._batches = islice(token_batches(text, TOKENS, arm.seed), self._distiller.steps, None)
        self._keep()

    def points(self) -> Iterator[Result]:
        """Train, and measure now and then."""
        total, points = self._distiller.how.steps, self.result["points"]
        every = math.ceil(total / POINTS)
        seconds = points[-1]["seconds"] if points else 0.0
        while self._distiller.steps < total:
            start = time.process_time()
            count = min(every, total - self._distiller.steps)
            losses = [self._distiller.step(next(self._batches)) for _ in range(count)]
            seconds += time.process_time() - start
            points.append({
                "step": self._distiller.steps, "seconds": seconds,
                "loss": float(np.mean(losses)), "cosine": self._measuring.few(self._model),
            })  # fmt: skip
            self._keep()
            yield points[-1]

    def finish(self) -> Result:
        """Measure the model at the end."""
        self.result |= {
            "fine-tuned": self._measuring.whole(self._model),
            "machine": machine.hardware(),
            "software": machine.software(),
            "threads": torch.get_num_threads(),
            "date": date.today().isoformat(),
        }
        _write_text(self.result, self._path)
        self._checkpoint.unlink()
        return self.result

    def _keep(self) -> None:
        _write_text(self.result, self._path)
        beside = self._checkpoint.with_suffix(".pt.part")
        torch.save({"result": self.result, "distiller": self._distiller.state_dict()}, beside)
        beside.replace(self._checkpoint)


def _calibrate(model: BertEncoder, encoded: Encoded, pattern: str) -> float:
    """Prune a model by some sentences; the CPU seconds that it took."""
    start = time.process_time()
    prune_model_(model, padded_batches(encoded)[0], pattern, RECIPE)
    return time.process_time() - start


def _checkpoint(path: Path, header: Result) -> Result | None:
    """What an interrupted run of the same kind left."""
    if not path.exists():
        return None
    state: Result = torch.load(path, weights_only=True)
    differing = [name for name, value in header.items() if state["result"][name] != value]
    if differing:
        raise ValueError(
            f"{path} was left by a run with other {', '.join(differing)}: remove it, or choose "
            "another folder"
        )
    return state


def _write_text(result: Result, path: Path) -> None:
    """Write the result; the file is whole at any time."""
    beside = path.with_suffix(".json.part")
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(path)


def finished(path: Path) -> Result | None:
    """The result of a file, if that run came to its end.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    if not path.exists():
        return None
    try:
        result: Result = json.loads(path.read_text())
        return result if result["fine-tuned"] and result["machine"] else None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} does not hold a result of this study ({type(error).__name__}: {error}); "
            "move it away, or choose another folder"
        ) from None
