// Copying a block whose columns are contiguous in memory so that its rows are.
//
// A step takes as many columns as a vector has elements, and as many rows: whole cache lines where
// vectors are that wide. Shuffles first transpose within every 128 bits, then the 128 bits of one
// vector with those of others; small buffers between the two spare registers.
#pragma once

#include "fast_path/strip_kernels.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kChunkBytes = 16;
inline constexpr int kChunks = kVectorBytes / kChunkBytes;  // a power of two

// Within every chunk: its lower (kUpper = 0) or upper half of x and y, alternating.
template <int kUpper, class Vector>
inline __attribute__((always_inline)) Vector interleave_halves(Vector x, Vector y) {
    constexpr int kInChunk = kLanes<Vector> / kChunks;
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(x, y,
                                       (l / kInChunk * kInChunk + kUpper * kInChunk / 2 +
                                        l % kInChunk / 2 + (l % 2 ? kLanes<Vector> : 0))...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// The even (kOdd = 0) or odd chunks of x, then of y.
template <int kOdd, class Vector>
inline __attribute__((always_inline)) Vector alternate_chunks(Vector x, Vector y) {
    constexpr int kInChunk = kLanes<Vector> / kChunks;
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(x, y,
                                       ((2 * (l / kInChunk) + kOdd) * kInChunk + l % kInChunk)...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// Lane b of vector a goes to lane a of vector b, in every chunk by itself. Each round, with vectors
// as the cards of a pack, is a perfect shuffle.
template <int kCount, int kRounds = kCount, class Vector>
inline __attribute__((always_inline)) void transpose_in_chunks(Vector* line) {
    if constexpr (kRounds > 1) {
        [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
            const Vector next[] = {
                interleave_halves<i % 2>(line[i / 2], line[i / 2 + kCount / 2])...};
            ((line[i] = next[i]), ...);
        }(std::make_index_sequence<kCount>{});
        transpose_in_chunks<kCount, kRounds / 2>(line);
    }
}

// Chunk b of vector a goes to chunk a of vector b.
template <int kRounds = kChunks, class Vector>
inline __attribute__((always_inline)) void transpose_chunks(Vector* line) {
    if constexpr (kRounds > 1) {
        constexpr int kHalf = kChunks / 2;
        [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
            const Vector next[] = {
                alternate_chunks<i / kHalf>(line[2 * (i % kHalf)], line[2 * (i % kHalf) + 1])...};
            ((line[i] = next[i]), ...);
        }(std::make_index_sequence<kChunks>{});
        transpose_chunks<kRounds / 2>(line);
    }
}

template <class T>
inline constexpr int kStep = kVectorBytes / static_cast<int>(sizeof(T));

// kStep rows and columns.
template <class T>
inline void transpose_step(const std::byte* source, std::int64_t column_stride, std::byte* target,
                           std::int64_t target_stride) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kInChunk = kChunkBytes / static_cast<int>(sizeof(T));
    const auto load_line = [](const std::byte* line) __attribute__((always_inline)) {
        return load<Vector>(reinterpret_cast<const T*>(line));
    };
    Vector part[kChunks][kInChunk];
    for (int group = 0; group < kChunks; ++group) {
        Vector line[kInChunk];
        for (int k = 0; k < kInChunk; ++k)
            line[k] = load_line(source + (group * kInChunk + k) * column_stride);
        transpose_in_chunks<kInChunk>(line);
        for (int k = 0; k < kInChunk; ++k) part[group][k] = line[k];
    }
    for (int k = 0; k < kInChunk; ++k) {
        Vector line[kChunks];
        for (int group = 0; group < kChunks; ++group) line[group] = part[group][k];
        transpose_chunks(line);
        for (int chunk = 0; chunk < kChunks; ++chunk)
            store(reinterpret_cast<T*>(target + (chunk * kInChunk + k) * target_stride),
                  line[chunk]);
    }
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
