"""What holds for all tests."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Iterator

import pytest

_MODEL_SPEED = ["cli/model_speed", "cli/commands/test_bench_model.py"]
_TORCH_FILES = ["checkpoint/test_torch_files.py", "checkpoint/test_reader_fuzz.py"]
# What the extra "test" brings; without it the other tests run, and pytest says what is left out.
_NEEDS = {
    "torch": [
        "torch", "bench", "docs", "examples", "cli/calibration",
        "cli/commands/test_eval_perplexity.py", *_MODEL_SPEED, *_TORCH_FILES,
    ],
    "distributed": ["scale/test_dask.py"],
    "scipy": ["torch/calibrate", "bench", "cli/calibration"],
    "gguf": ["cli/calibration/test_gguf.py"],
    "transformers": [
        "cli/calibration/test_hugging_face.py", "cli/calibration/test_language_models.py",
        "cli/calibration/test_gguf.py", "cli/commands/test_eval_perplexity.py", "docs",
        *_MODEL_SPEED,
    ],
}  # fmt: skip
_MISSING = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
collect_ignore = sorted({path for name in _MISSING for path in _NEEDS[name]})


def pytest_report_header() -> list[str]:
    """Tell what is left out."""
    if not _MISSING:
        return []
    return [f"not installed: {', '.join(_MISSING)}; left out: {', '.join(collect_ignore)}"]


def pytest_configure() -> None:
    """Heed signals, and let programs that are started heed them.

    A shell that runs tests in the background, or under nohup, has them ignore some.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, default)


@pytest.fixture(autouse=True)
def _one_torch_thread_and_one_seed() -> Iterator[None]:
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
