// Square blocks of elements of any size, transposed in registers.
//
// Shuffles first transpose within every 128 bits, then the 128 bits of one vector with those of
// others.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kChunkBytes = 16;
inline constexpr int kChunks = kVectorBytes / kChunkBytes;  // a power of two
// Those of any vector; one that is shorter is a chunk.
template <class Vector>
inline constexpr int kChunksOf =
    sizeof(Vector) < kChunkBytes ? 1 : static_cast<int>(sizeof(Vector)) / kChunkBytes;

// Within every chunk: its lower (kUpper = 0) or upper half of x and y, alternating.
template <int kUpper, class Vector>
inline __attribute__((always_inline)) Vector interleave_halves(Vector x, Vector y) {
    constexpr int kInChunk = kLanes<Vector> / kChunksOf<Vector>;
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(x, y,
                                       (l / kInChunk * kInChunk + kUpper * kInChunk / 2 +
                                        l % kInChunk / 2 + (l % 2 ? kLanes<Vector> : 0))...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// The even (kOdd = 0) or odd chunks of x, then of y.
template <int kOdd, class Vector>
inline __attribute__((always_inline)) Vector alternate_chunks(Vector x, Vector y) {
    constexpr int kInChunk = kLanes<Vector> / kChunksOf<Vector>;
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
template <class Vector, int kRounds = kChunksOf<Vector>>
inline __attribute__((always_inline)) void transpose_chunks(Vector* line) {
    if constexpr (kRounds > 1) {
        constexpr int kCount = kChunksOf<Vector>, kHalf = kCount / 2;
        [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
            const Vector next[] = {
                alternate_chunks<i / kHalf>(line[2 * (i % kHalf)], line[2 * (i % kHalf) + 1])...};
            ((line[i] = next[i]), ...);
        }(std::make_index_sequence<kCount>{});
        transpose_chunks<Vector, kRounds / 2>(line);
    }
}

template <class T>
inline constexpr int kStep = kVectorBytes / static_cast<int>(sizeof(T));

// As many vectors as each has elements: element b of line a goes to element a of line b.
template <class Vector, int kCount>
inline __attribute__((always_inline)) void transpose_lines(Vector (&lines)[kCount]) {
    static_assert(kCount == kLanes<Vector>);
    constexpr int kOfChunks = kChunksOf<Vector>, kInChunk = kCount / kOfChunks;
    for (int chunk = 0; chunk < kOfChunks; ++chunk)
        transpose_in_chunks<kInChunk>(lines + chunk * kInChunk);
    Vector turned[kCount];
    for (int k = 0; k < kInChunk; ++k) {
        Vector line[kOfChunks];
        for (int chunk = 0; chunk < kOfChunks; ++chunk) line[chunk] = lines[chunk * kInChunk + k];
        transpose_chunks(line);
        for (int chunk = 0; chunk < kOfChunks; ++chunk) turned[chunk * kInChunk + k] = line[chunk];
    }
    for (int k = 0; k < kCount; ++k) lines[k] = turned[k];
}

}  // namespace tnm::TNM_ISA
