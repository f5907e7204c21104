// Copying a block whose columns are contiguous in memory so that its rows are.
//
// A step takes as many columns as a vector has elements, and as many rows: whole cache lines where
// vectors are that wide. Where a block is smaller than that, vectors are shorter.
#pragma once

#include "copies/copy_kernels.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// select.template operator()<T>(), T being an unsigned integer of so many bytes.
template <class Select>
inline auto by_item_bytes(int bytes, const Select& select) {
    switch (bytes) {
        case 1:
            return select.template operator()<std::uint8_t>();
        case 2:
            return select.template operator()<std::uint16_t>();
        case 4:
            return select.template operator()<std::uint32_t>();
        default:
            return select.template operator()<std::uint64_t>();
    }
}

// As many rows and columns as a vector has elements.
template <class Vector, class T>
inline void transpose_step(const std::byte* source, std::int64_t column_stride, std::byte* target,
                           std::int64_t target_stride) {
    Vector lines[kLanes<Vector>];
    for (int k = 0; k < kLanes<Vector>; ++k)
        lines[k] = load<Vector>(reinterpret_cast<const T*>(source + k * column_stride));
    transpose_lines(lines);
    for (int k = 0; k < kLanes<Vector>; ++k)
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
template <class T, int kBytes = kVectorBytes>
void copy_transposed(const ColumnBlock& block, std::byte* target, std::int64_t target_stride) {
    constexpr std::int64_t kItem = sizeof(T);
    constexpr int kCount = kBytes / static_cast<int>(kItem);
    if constexpr (kBytes < 8 || kCount < 2) {
        copy_one_by_one<T>(block, target, target_stride);
    } else {
        using Vector = typename VectorOf<T, kBytes>::type;
        if (block.rows < kCount || block.columns < kCount)
            return copy_transposed<T, kBytes / 2>(block, target, target_stride);
        for (int next_column = 0; next_column < block.columns; next_column += kCount) {
            const int column =
                next_column + kCount <= block.columns ? next_column : block.columns - kCount;
            const std::byte* source = block.data + column * block.column_stride;
            for (int next_row = 0; next_row < block.rows; next_row += kCount) {
                const int row = next_row + kCount <= block.rows ? next_row : block.rows - kCount;
                transpose_step<Vector, T>(source + row * kItem, block.column_stride,
                                          target + row * target_stride + column * kItem,
                                          target_stride);
            }
        }
    }
}

inline CopyTransposed transposing_copy(int item_bytes) {
    return by_item_bytes(item_bytes,
                         []<class T>() -> CopyTransposed { return copy_transposed<T>; });
}

// Every kStep-th element, from the first on (kStep = 2), or all backwards from it (kStep = -1).
template <int kStep, class Vector, class T>
inline __attribute__((always_inline)) Vector load_steps(const T* source) {
    constexpr int kCount = kLanes<Vector>;
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        if constexpr (kStep == 2)
            return __builtin_shufflevector(load<Vector>(source), load<Vector>(source + kCount),
                                           (2 * l)...);
        else
            return __builtin_shufflevector(load<Vector>(source - (kCount - 1)),
                                           load<Vector>(source - (kCount - 1)),
                                           (kCount - 1 - l)...);
    }(std::make_index_sequence<kCount>{});
}

// The elements of which each is kStep after the one before, but for the last few; how many.
template <int kStep, class T>
inline int gather_vectors(const std::byte* source, int count, std::byte* target) {
    using Vector = typename VectorOf<T>::type;
    int done = 0;
    // Of pairs, the last vector would read one too many.
    for (; done + kLanes<Vector> < count; done += kLanes<Vector>)
        store(reinterpret_cast<T*>(target) + done,
              load_steps<kStep, Vector>(reinterpret_cast<const T*>(source) + done * kStep));
    return done;
}

template <class T>
void copy_strided_row(const std::byte* source, std::int64_t step, int count, std::byte* target) {
    constexpr std::int64_t kItem = sizeof(T);
    int done = 0;
    if (step == 2 * kItem) done = gather_vectors<2, T>(source, count, target);
    if (step == -kItem) done = gather_vectors<-1, T>(source, count, target);
    for (; done < count; ++done) std::memcpy(target + done * kItem, source + done * step, kItem);
}

inline CopyStridedRow strided_row_copy(int item_bytes) {
    return by_item_bytes(item_bytes,
                         []<class T>() -> CopyStridedRow { return copy_strided_row<T>; });
}

}  // namespace tnm::TNM_ISA
