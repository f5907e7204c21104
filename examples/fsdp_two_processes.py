"""Dynamic masks on a model that `fully_shard` spreads over two processes.

    python examples/fsdp_two_processes.py

Each process solves the tiles of its own shards; all gather the masks. Needs the extra torch and
scikit-learn; runs on the CPU (gloo) and takes about 20 seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

import digits
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from tnm_core.torch import DynamicMask, remove_sparsity_, sparsify_

PROCESSES = 2


def run(rank: int, folder: str, epochs: int) -> None:
    """Train one of the processes."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES
    )
    torch.manual_seed(0)
    training, test = digits.load()
    training = training[0][rank::PROCESSES], training[1][rank::PROCESSES]

    # In this order: masks, shards, optimizer. 32 rows in two shards are cut at multiples of 4.
    model = digits.perceptron()
    sparsify_(model, "2:4", exclude="4")
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    dynamic = DynamicMask(every=10).attach(model, optimizer)
    digits.train(model, optimizer, training, epochs, size=32)

    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        whole = digits.perceptron()
        sparsify_(whole, "2:4", exclude="4")
        whole.load_state_dict(state)
        remove_sparsity_(whole)
        refreshes = len({record.step for record in dynamic.statistics})
        print(
            f"accuracy {digits.accuracy(whole, test):.3f} after {refreshes} refreshes of the masks"
        )
        print(f"zeros in layer 2: {float((whole[2].weight == 0).float().mean()):.3f}")
    dist.destroy_process_group()


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            run,
            (folder, options.epochs),
            nprocs=PROCESSES,
            # A fork need not import torch again, and is safe here: nothing has run yet.
            start_method="fork" if sys.platform == "linux" else "spawn",
        )


if __name__ == "__main__":
    main()
