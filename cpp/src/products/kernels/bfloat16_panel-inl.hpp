// Many tokens in bfloat16, for the instruction that multiplies pairs: lanes are tokens, and a step
// takes two kept columns of a row. Their activations are interleaved in registers; the two weights
// lie next to each other.
//
// Denormal numbers count as zero: so the instruction has it.
#pragma once

#include "products/product_kernels.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kPairLanes = kLanes<Uint16s>;
inline constexpr int kMostPairVectors = kMostPanelTokens / kPairLanes;

// Interleaving takes the lower half of every 128 bits, then the upper: tokens are laid out so that
// these give 16 neighbours each.
constexpr int token_of(int position) {
    constexpr int kInChunk = 8;
    const int chunk = position / kInChunk, within = position % kInChunk;
    return within % 4 + 4 * chunk + (within < 4 ? 0 : kPairLanes / 2);
}

inline void load_pair_square(const ActivationBlock& block, int token, int column, int stride,
                             std::uint16_t* panel) {
    Uint16s lines[kPairLanes];
    const int columns = block.columns - column;
    for (int k = 0; k < kPairLanes; ++k) {
        lines[k] = Uint16s{};
        if (token + token_of(k) >= block.count) continue;
        const std::byte* source = block.tokens[token + token_of(k)] + column * block.column_stride;
        std::uint16_t elements[kPairLanes] = {};
        for (int j = 0; j < kPairLanes && j < columns; ++j)
            std::memcpy(elements + j, source + j * block.column_stride, 2);
        std::memcpy(&lines[k], elements, sizeof elements);
    }
    transpose_lines(lines);
    for (int j = 0; j < kPairLanes && j < columns; ++j)
        store(panel + (column + j) * stride + token, lines[j]);
}

inline void load_pairs(const ActivationBlock& block, int vectors, void* panel) {
    const int stride = vectors * kPairLanes;
    for (int token = 0; token < stride; token += kPairLanes)
        for (int column = 0; column < block.columns; column += kPairLanes)
            load_pair_square(block, token, column, stride, static_cast<std::uint16_t*>(panel));
}

// The lowest bit's column; the bit is taken away.
inline int take_column(std::uint64_t& word) {
    const int column = __builtin_ctzll(word);
    word &= word - 1;
    return column;
}

template <int kVectors>
inline __attribute__((always_inline)) void add_pair(const std::uint16_t* first,
                                                    const std::uint16_t* second,
                                                    std::uint32_t values,
                                                    __m512 (&sums)[2 * kVectors]) {
    const auto weights = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(values)));
    for (int v = 0; v < kVectors; ++v) {
        const __m512i even = _mm512_loadu_si512(first + v * kPairLanes);
        const __m512i odd = _mm512_loadu_si512(second + v * kPairLanes);
        sums[2 * v] = _mm512_dpbf16_ps(
            sums[2 * v], reinterpret_cast<__m512bh>(_mm512_unpacklo_epi16(even, odd)), weights);
        sums[2 * v + 1] = _mm512_dpbf16_ps(
            sums[2 * v + 1], reinterpret_cast<__m512bh>(_mm512_unpackhi_epi16(even, odd)), weights);
    }
}

alignas(64) inline constexpr std::uint16_t kNoTokens[kMostPanelTokens] = {};

template <int kVectors>
inline const std::byte* add_pair_row(std::uint64_t word, const std::byte* values,
                                     const std::uint16_t* panel, float* target) {
    constexpr int kStride = kVectors * kPairLanes;
    __m512 sums[2 * kVectors];
    for (int k = 0; k < 2 * kVectors; ++k) sums[k] = _mm512_loadu_ps(target + k * 16);
    for (int left = __builtin_popcountll(word); left >= 2; left -= 2, values += 4) {
        std::uint32_t pair = 0;
        std::memcpy(&pair, values, sizeof pair);
        const std::uint16_t* first = panel + take_column(word) * kStride;
        add_pair<kVectors>(first, panel + take_column(word) * kStride, pair, sums);
    }
    if (word != 0) {
        std::uint16_t last = 0;
        std::memcpy(&last, values, sizeof last);
        values += sizeof last;
        add_pair<kVectors>(panel + take_column(word) * kStride, kNoTokens, last, sums);
    }
    for (int k = 0; k < 2 * kVectors; ++k) _mm512_storeu_ps(target + k * 16, sums[k]);
    return values;
}

template <int kVectors>
inline void multiply_pair_rows(const PackedWindow& window, const void* values, const void* panel,
                               float* sums) {
    const auto* next = static_cast<const std::byte*>(values);
    for (std::int64_t row = 0; row < window.rows; ++row, sums += kVectors * kPairLanes) {
        std::uint64_t word = 0;
        std::memcpy(&word, window.words + row * 8, 8);
        next = add_pair_row<kVectors>(word, next, static_cast<const std::uint16_t*>(panel), sums);
    }
}

inline void multiply_pairs(const PackedWindow& window, const void* values, const void* panel,
                           int vectors, float* sums) {
    static_assert(kMostPairVectors == 4);
    if (vectors == 1) return multiply_pair_rows<1>(window, values, panel, sums);
    if (vectors == 2) return multiply_pair_rows<2>(window, values, panel, sums);
    if (vectors == 3) return multiply_pair_rows<3>(window, values, panel, sums);
    multiply_pair_rows<4>(window, values, panel, sums);
}

extern const PanelKernels kBfloat16Kernels;
const PanelKernels kBfloat16Kernels = {
    .lanes = kPairLanes,
    .most_vectors = kMostPairVectors,
    .load = load_pairs,
    .multiply = multiply_pairs,
};

}  // namespace tnm::TNM_ISA
