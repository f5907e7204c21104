// Copying a block whose columns are contiguous in memory so that its rows are.
//
// A step takes as many columns as a vector has elements, and as many rows: whole cache lines where
// vectors are that wide.
#pragma once

#include "fast_path/strip_kernels.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// kStep rows and columns.
template <class T>
inline void transpose_step(const std::byte* source, std::int64_t column_stride, std::byte* target,
                           std::int64_t target_stride) {
    using Vector = typename VectorOf<T>::type;
    Vector lines[kStep<T>];
    for (int k = 0; k < kStep<T>; ++k)
        lines[k] = load<Vector>(reinterpret_cast<const T*>(source + k * column_stride));
    transpose_lines(lines);
    for (int k = 0; k < kStep<T>; ++k)
        store(reinterpret_cast<T*>(target + k * target_stride), lines[k]);
}

template <class T>
void copy_one_by_one(const ColumnBlock& block, std::byte* target, std::int64_t target_stride) {
    for (int c = 0; c < block.columns; ++c)
        for (int r = 0; r < block.rows; ++r)
            std::memcpy(
                target + r * target_stride + c * static_cast<std::int64_t>(sizeof(T)),
                block.data + c * block.column_stride + r * static_cast<std::int64_t>(sizeof(T)),
                sizeof(T));
}

// Where the block is no multiple of a step, the last steps overlap those before.
template <class T>
void copy_transposed(const ColumnBlock& block, std::byte* target, std::int64_t target_stride) {
    constexpr std::int64_t kItem = sizeof(T);
    constexpr int kCount = kStep<T>;
    if (block.rows < kCount || block.columns < kCount)
        return copy_one_by_one<T>(block, target, target_stride);
    for (int next_column = 0; next_column < block.columns; next_column += kCount) {
        const int column =
            next_column + kCount <= block.columns ? next_column : block.columns - kCount;
        const std::byte* source = block.data + column * block.column_stride;
        for (int next_row = 0; next_row < block.rows; next_row += kCount) {
            const int row = next_row + kCount <= block.rows ? next_row : block.rows - kCount;
            transpose_step<T>(source + row * kItem, block.column_stride,
                              target + row * target_stride + column * kItem, target_stride);
        }
    }
}

inline CopyTransposed transposing_copy(int item_bytes) {
    switch (item_bytes) {
        case 1:
            return copy_transposed<std::uint8_t>;
        case 2:
            return copy_transposed<std::uint16_t>;
        case 4:
            return copy_transposed<std::uint32_t>;
        default:
            return copy_transposed<std::uint64_t>;
    }
}

}  // namespace tnm::TNM_ISA
