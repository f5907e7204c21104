// Copies of elements that are turned or drawn together on the way: what is compiled once for each
// instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tnm {

// Elements of which those of a column are neighbours in memory.
struct ColumnBlock {
    const std::byte* data = nullptr;
    std::int64_t column_stride = 0;
    int rows = 0, columns = 0;
};

// Copies a block so that the elements of a row are neighbours.
using CopyTransposed = void (*)(const ColumnBlock& block, std::byte* target,
                                std::int64_t target_row_stride);

// Copies elements that are `step` bytes apart so that they are neighbours.
using CopyStridedRow = void (*)(const std::byte* source, std::int64_t step, int count,
                                std::byte* target);

// For elements of so many bytes: 1, 2, 4 or 8.
struct CopyKernels {
    CopyTransposed (*transposing_copy)(int item_bytes);
    CopyStridedRow (*strided_row_copy)(int item_bytes);
};

// Those of the instruction set in use.
const CopyKernels& copy_kernels();

}  // namespace tnm
