"""cuSPARSELt's operators on the CPU, as far as layouts, sizes and rules go.

Like the hardware they get a pointer and a leading dimension: an operand that is neither contiguous
nor the transpose of something contiguous is read wrongly, and not politely copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from tnm_core.torch.linear.backends import choice, cusparselt
from tnm_core.torch.linear.backends.algorithms import Algorithms

DTYPES = (torch.float16, torch.bfloat16)


@dataclass
class Standin:
    """What was called with which operands."""

    compressed: list[tuple[int, ...]] = field(default_factory=list)
    products: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = field(default_factory=list)
    algorithms: list[tuple[int, ...]] = field(default_factory=list)
    searched: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def compress(self, dense: torch.Tensor) -> torch.Tensor:
        rows, columns = dense.shape
        assert dense.dtype in DTYPES
        assert rows % 16 == 0
        assert columns % 16 == 0
        self.compressed.append((rows, columns))
        groups = _as_the_kernel_reads(dense, rows, columns).view(rows, columns // 4, 4)
        kept = groups != 0
        assert int(kept.sum(-1).max()) <= 2, "the hardware would drop values in silence"
        places = torch.argsort(kept.int(), dim=-1, descending=True, stable=True)[..., :2]
        places = places.sort(-1).values
        values = groups.gather(-1, places).view(rows, columns // 2)
        nibbles = (places[..., 0] | (places[..., 1] << 2)).view(rows, columns // 16, 4)
        words = (nibbles << torch.tensor([0, 4, 8, 12])).sum(-1)
        metadata = torch.where(words >= 1 << 15, words - (1 << 16), words).to(torch.int16)
        return torch.cat([values, metadata.view(dense.dtype)], dim=1)

    def sparse_mm(
        self,
        compressed: torch.Tensor,
        dense: torch.Tensor,
        bias: torch.Tensor | None = None,
        alpha: torch.Tensor | None = None,
        out_dtype: torch.dtype | None = None,
        transpose_result: bool = False,
        *algorithm: int,
    ) -> torch.Tensor:
        assert alpha is None
        assert out_dtype is None
        assert 1 <= len(algorithm) <= 3
        self.algorithms.append(algorithm)
        k, n = dense.shape
        rows = compressed.shape[0]
        assert compressed.is_contiguous()
        assert compressed.dtype == dense.dtype
        assert compressed.shape[1] * 16 == k * 9, "the dense operand has another inner size"
        assert n % 8 == 0
        assert all(t.data_ptr() % 16 == 0 for t in (compressed, dense, bias) if t is not None)
        assert bias is None or (bias.dtype == dense.dtype and bias.shape == (rows,))
        self.products.append(((rows, k), (k, n), transpose_result))
        if dense.is_contiguous():
            read = _as_the_kernel_reads(dense, k, n)
        else:
            read = _as_the_kernel_reads(dense, n, k).t()
        result = _decoded(compressed, k).float() @ read.float()
        if bias is not None:
            result += bias.float().unsqueeze(1)
        result = result.to(dense.dtype)
        return result.t().contiguous() if transpose_result else result

    def search(
        self,
        compressed: torch.Tensor,
        dense: torch.Tensor,
        bias: torch.Tensor | None = None,
        alpha: torch.Tensor | None = None,
        out_dtype: torch.dtype | None = None,
        transpose_result: bool = False,
    ) -> int:
        """Find another algorithm at each search: 1, 2, 3."""
        self.sparse_mm(compressed, dense, bias, alpha, out_dtype, transpose_result, 0)
        self.products.pop()
        self.algorithms.pop()
        self.searched.append(((compressed.shape[0], dense.shape[0]), tuple(dense.shape)))
        return len(self.searched)


def _as_the_kernel_reads(tensor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return tensor.as_strided((rows, columns), (columns, 1), tensor.storage_offset())


def _decoded(compressed: torch.Tensor, k: int) -> torch.Tensor:
    rows = compressed.shape[0]
    values = compressed[:, : k // 2].reshape(rows, k // 4, 2)
    words = compressed[:, k // 2 :].contiguous().view(torch.int16).long() & 0xFFFF
    nibbles = (words.unsqueeze(-1) >> torch.tensor([0, 4, 8, 12])) & 0xF
    nibbles = nibbles.view(rows, k // 4)
    places = torch.stack([nibbles & 3, nibbles >> 2], dim=-1)
    return values.new_zeros(rows, k // 4, 4).scatter(-1, places, values).view(rows, k)


def install(patch: pytest.MonkeyPatch) -> Standin:
    """Put the stand-in in torch's place, and let the back end believe that a GPU is there."""
    standin = Standin()
    patch.setattr(torch, "_cslt_compress", standin.compress)
    patch.setattr(torch, "_cslt_sparse_mm", standin.sparse_mm)
    patch.setattr(torch, "_cslt_sparse_mm_search", standin.search)
    patch.setattr(cusparselt, "ALGORITHMS", Algorithms())
    patch.setattr(cusparselt, "_device_reason", lambda device: None)
    patch.setattr(choice, "packed_backend_of", lambda spec: "cusparselt")
    return standin
