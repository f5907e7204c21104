// Square blocks of elements of any size, transposed in registers.
//
// Shuffles first transpose within every 128 bits, then the 128 bits of one vector with those of
// others.
#pragma once

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

// As many vectors as each has elements: element b of line a goes to element a of line b.
template <class Vector, int kCount>
inline __attribute__((always_inline)) void transpose_lines(Vector (&lines)[kCount]) {
    static_assert(kCount == kLanes<Vector>);
    constexpr int kInChunk = kCount / kChunks;
    for (int chunk = 0; chunk < kChunks; ++chunk)
        transpose_in_chunks<kInChunk>(lines + chunk * kInChunk);
    Vector turned[kCount];
    for (int k = 0; k < kInChunk; ++k) {
        Vector line[kChunks];
        for (int chunk = 0; chunk < kChunks; ++chunk) line[chunk] = lines[chunk * kInChunk + k];
        transpose_chunks(line);
        for (int chunk = 0; chunk < kChunks; ++chunk) turned[chunk * kInChunk + k] = line[chunk];
    }
    for (int k = 0; k < kCount; ++k) lines[k] = turned[k];
}

}  // namespace tnm::TNM_ISA
