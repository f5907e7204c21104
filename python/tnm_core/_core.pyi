from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def transposable_mask(
    array: NDArray[Any],
    dtype: str,
    mask: NDArray[np.bool_],
    restore: bool,
    n: int,
    m: int,
    method: str,
    score: str,
    complete: bool,
    threads: int,
) -> bool: ...
def certified_transposable_mask(
    array: NDArray[Any],
    dtype: str,
    mask: NDArray[np.bool_],
    restore: bool,
    n: int,
    m: int,
    score: str,
    threads: int,
    row_prices: NDArray[np.float64],
    column_prices: NDArray[np.float64],
    primal: NDArray[np.float64],
    dual: NDArray[np.float64],
    gap: NDArray[np.float64],
    offset: NDArray[np.float64],
    exponent: NDArray[np.int32],
) -> bool: ...
def road_of(
    array: NDArray[Any],
    dtype: str,
    mask: NDArray[np.bool_],
    n: int,
    m: int,
    method: str,
    score: str,
    certified: bool,
) -> tuple[str, bool, bool]: ...
def rowwise_road_of(
    array: NDArray[Any], dtype: str, mask: NDArray[np.bool_], n: int, m: int
) -> tuple[str, bool]: ...
def find_non_finite(array: NDArray[Any], dtype: str, threads: int) -> int | None: ...
def nm_mask(
    array: NDArray[Any],
    dtype: str,
    mask: NDArray[np.bool_],
    restore: bool,
    n: int,
    m: int,
    score: str,
    threads: int,
) -> bool: ...
def retained_score(
    array: NDArray[Any], dtype: str, mask: NDArray[np.bool_], score: str, threads: int
) -> tuple[float, float, float, int] | None: ...
def count_kept(
    mask: NDArray[np.bool_],
    n: int,
    m: int,
    transposable: bool,
    exact: bool,
    row_counts: NDArray[np.uint8],
    column_counts: NDArray[np.uint8],
    threads: int,
) -> tuple[int, int | None]: ...

class RegularCounter:
    def __init__(self, rows: int, columns: int, row_sum: int, column_sum: int) -> None: ...
    @property
    def primes(self) -> list[int]: ...
    @property
    def needed_primes(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def evaluations(self) -> float: ...
    @property
    def operations(self) -> float: ...
    @property
    def table_bytes(self) -> float: ...
    @property
    def slices(self) -> int: ...
    def start_pass(self, pass_index: int) -> None: ...
    def share_before(self, slice: int) -> float: ...
    def add_slices(self, begin: int, end: int, sums: list[int], threads: int) -> list[int]: ...
    def digits(self, sums: list[list[int]]) -> list[int]: ...

def compress(
    array: NDArray[Any],
    mask: NDArray[np.bool_],
    n: int,
    m: int,
    values: NDArray[Any],
    indices: NDArray[np.uint8],
    threads: int,
) -> int | None: ...
def decompress(
    values: NDArray[Any],
    indices: NDArray[np.uint8],
    n: int,
    m: int,
    array: NDArray[Any],
    threads: int,
) -> bool: ...
def count_margins_dp(
    row_sums: Sequence[int], column_sums: Sequence[int], memory_cap: int, threads: int = 1
) -> int: ...
def count_at_most_dp(rows: int, columns: int, n: int, memory_cap: int, threads: int = 1) -> int: ...

class MaskTable:
    def __init__(self, n: int, m: int, memory_cap: int, threads: int) -> None: ...
    @property
    def total(self) -> int: ...
    @property
    def words(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    def unrank(
        self, indices: NDArray[np.uint64], masks: NDArray[np.bool_], threads: int
    ) -> None: ...
    def sample(self, draws: NDArray[np.uint64], masks: NDArray[np.bool_], threads: int) -> None: ...
    def rank(self, masks: NDArray[np.bool_], indices: NDArray[np.uint64], threads: int) -> None: ...

def curveball_masks(
    n: int,
    m: int,
    trades: int,
    seeds: NDArray[np.uint64],
    masks: NDArray[np.bool_],
    threads: int,
) -> None: ...

class MaskEnumerator:
    def __init__(self, n: int, m: int) -> None: ...
    def seek(self, code: int) -> None: ...
    def next(self, codes: NDArray[np.uint64]) -> int: ...

def version() -> str: ...
def compiler() -> str: ...
def instruction_sets_built() -> list[str]: ...
def instruction_set() -> str: ...
def instruction_set_error() -> str: ...
def packed_bytes(rows: int, columns: int, kept: int, dtype: str) -> int: ...
def pack_matrix(
    weights: NDArray[Any],
    dtype: str,
    mask: NDArray[np.bool_],
    kept: int,
    packed: NDArray[np.uint8],
    threads: int,
) -> None: ...
def update_matrix(weights: NDArray[Any], packed: NDArray[np.uint8], threads: int) -> None: ...
def unpack_matrix(
    packed: NDArray[np.uint8], weights: NDArray[Any], mask: NDArray[np.bool_], threads: int
) -> None: ...
def rows_of_matrix(
    packed: NDArray[np.uint8], values: NDArray[Any], bits: NDArray[np.uint8], threads: int
) -> None: ...
def pack_matrix_rows(
    values: NDArray[Any],
    dtype: str,
    bits: NDArray[np.uint8],
    rows: int,
    columns: int,
    packed: NDArray[np.uint8],
    threads: int,
) -> int: ...
def packed_shape(packed: NDArray[np.uint8]) -> tuple[int, int, int, str] | None: ...
def is_consistent(packed: NDArray[np.uint8]) -> bool: ...
def multiply_matrix(
    packed: NDArray[np.uint8],
    activations: NDArray[Any],
    dtype: str,
    result: NDArray[Any],
    result_dtype: str,
    bias: NDArray[np.float32] | None,
    activation: str,
    threads: int,
) -> None: ...
def multiply_memory(
    packed: int,
    packed_bytes: int,
    dtype: str,
    activations: int,
    shape: Sequence[int],
    strides: Sequence[int],
    result: int,
    rows: int,
    bias: int,
    threads: int,
) -> bool: ...
