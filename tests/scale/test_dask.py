"""A cluster of Dask in this process: the commands and functions on it, and what may be wrong."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import tnm_core as tnm
from tests.cli.conftest import Result
from tnm_core.cli.run import run
from tnm_core.scale import WorkersError, dask_cluster, dask_executor, mask_in_bands


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster:
            yield cluster.scheduler_address


pytestmark = pytest.mark.filterwarnings("ignore")  # of distributed and what it imports


def test_masks_of_arrays(address: str) -> None:
    array = np.random.default_rng(0).standard_normal((64, 96))
    with dask_executor(address) as executor:
        mask = mask_in_bands(array, "2:4", executor=executor)
    np.testing.assert_array_equal(mask, tnm.transposable_mask(array, "2:4"))


def test_command_writes_what_one_process_writes(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    tensors = {f"layer.{i}.weight": rng.standard_normal((64, 64)) for i in range(3)}
    save_file({**tensors, "norm.bias": np.ones(3)}, tmp_path / "model.safetensors")
    outs = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for out, options in zip(outs, ([], ["--executor", "dask", "--address", address]), strict=True):
        command = ["prune", str(tmp_path / "model.safetensors"), "-p", "2:4", "-o", str(out)]
        assert run([*command, *options]) == 0, capsys.readouterr().err
    assert outs[0].read_bytes() == outs[1].read_bytes()


def _refused(capsys: pytest.CaptureFixture[str], folder: Path, address: str) -> Result:
    np.save(folder / "a.npy", np.eye(8))
    command = ["prune", folder / "a.npy", "-p", "2:4", "-o", folder / "b.npy"]
    status = run([*map(str, command), "--executor", "dask", "--address", address])
    captured = capsys.readouterr()
    assert not (folder / "b.npy").exists()
    return Result(status, captured.out, captured.err)


def test_nobody_at_the_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(WorkersError, match="no scheduler of Dask answers at tcp://127"),
        dask_executor("tcp://127.0.0.1:9", timeout=0.2),
    ):
        pass
    result = _refused(capsys, tmp_path, "nonsense://somewhere")
    result.assert_refused_at_the_end("no scheduler of Dask answers at nonsense://somewhere")


def test_the_package_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = _refused(capsys, tmp_path, "tcp://127.0.0.1:9")
    result.assert_refused("needs the package distributed", ".[distributed]")


class _Client:
    """Has workers that answer as told."""

    class scheduler:  # noqa: N801
        address = "tcp://here"

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def run(self, function: Any, packages: Any, on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        return self._answers


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"tnm_core": "0.0.1", "numpy": np.__version__}, "has tnm_core 0.0.1, this process"),
        ({"tnm_core": tnm.__version__, "numpy": None}, "has numpy None, this process"),
        (ModuleNotFoundError("No module named 'tnm_core'"), "cannot run tnm_core"),
    ],
)
def test_workers_that_do_not_fit(answer: Any, said: str) -> None:
    fitting = dask_cluster.versions(["numpy"])
    client = _Client({"tcp://a": fitting, "tcp://b": answer})
    with pytest.raises(WorkersError, match=f"worker tcp://b {said}"):
        dask_cluster._check_workers(client, ["numpy"], lambda told: None)
    dask_cluster._check_workers(_Client({"tcp://a": fitting}), ["numpy"], pytest.fail)
    told: list[str] = []
    dask_cluster._check_workers(_Client({}), [], told.append)
    assert "no worker is connected" in told[0]
