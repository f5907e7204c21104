"""Sparse products: patterns, layers, tokens, dtypes, instruction sets, threads, and peers."""

from __future__ import annotations

import os

import tnm_core as tnm
from bench.context import Context, Record
from bench.products import tables
from bench.products.launch import run_worker
from bench.sections.base import Section


def _run(context: Context) -> list[Record]:
    records = [*run_worker(context, "layers"), *run_worker(context, "tokens")]
    names = tnm.build_info()["instruction_sets"]
    for name in names if isinstance(names, list) else []:
        records += run_worker(context, "settings", instruction_set=name)
    threads = os.cpu_count() or 1
    if threads > 1:
        records += run_worker(context, "settings", threads=threads)
    return records


SECTION = Section(
    "products",
    "Products",
    """\
Times are the best of short repeats in which everyone takes turns, in one process, result memory
included; weights are packed ahead by all who can. A dense-equivalent rate counts the operations of
the dense product, 2 x tokens x rows x columns. "Best dense" is the fastest of torch (MKL), MKL and
oneDNN with weights packed ahead, OpenBLAS and onnxruntime, in the same case and dtype.

All combinations would take hours. So there are three cuts: every pattern on every layer at 512
tokens, float32, one thread; three patterns from one token to thousands, on a layer that fits into
the caches and on one that does not, where no call follows another of its kind, so that the caches
hold what others read; and both dtypes under every instruction set and with all threads, on one
layer. For an instruction set below the machine's widest, peers are held to the same instructions by
the environment; MKL does not heed that on every processor, and onnxruntime cannot be held, so it is
left out there. Rows of `90 % zeros` and the like keep the largest magnitudes of the whole matrix.
Peers with compressed rows get the inputs transposed ahead; their result may be transposed.""",
    _run,
    tables.render,
    page="products",
)
