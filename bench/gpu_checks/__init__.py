"""Sections of the GPU check, in the order in which they run."""

from __future__ import annotations

from bench.gpu_checks import correctness, mask_search, mlp, products

SECTIONS = {
    "correctness": correctness.run,
    "mask search": mask_search.run,
    "MLP": mlp.run,
    "products": products.run,
}
