// Few tokens: lanes are columns. Weights are moved to their lanes once for all tokens, and memory
// is read as fast as it comes.
#pragma once

#include "products/kernels/expand-inl.hpp"

namespace tnm::TNM_ISA {

template <Dtype kDtype>
inline Floats load_columns(const ActivationBlock& block, int token, int column) {
    const std::byte* source = block.tokens[token] + column * block.column_stride;
    const int columns = block.columns - column;
    if (block.column_stride == kItemBytes<kDtype>)
        return columns >= kFloats ? load_floats<kDtype>(source)
                                  : load_first<kDtype>(source, columns);
    Floats lanes{};
    for (int lane = 0; lane < kFloats && lane < columns; ++lane)
        lanes[lane] = load_one<kDtype>(source + lane * block.column_stride);
    return lanes;
}

inline bool load_few(const ActivationBlock& block, float* columns) {
    // Zero times anything but a finite number is not zero.
    Floats doubtful{};
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        for (int token = 0; token < block.count; ++token)
            for (int column = 0; column < kFewColumns; column += kFloats) {
                const Floats lanes =
                    column < block.columns ? load_columns<kDtype>(block, token, column) : Floats{};
                doubtful += lanes * 0.0F;
                store(columns + token * kFewColumns + column, lanes);
            }
    });
    return all_set(doubtful == Floats{});
}

// So many steps at once: the sums of a few tokens alone would wait for each other.
constexpr int steps_of(int tokens) {
    return tokens == 1 ? 4 : tokens <= 4 ? 2 : 1;
}

template <int kTokens>
using StepSums = Floats[steps_of(kTokens)][kTokens];

// The bits of a step. Whole bytes come from memory: that takes one instruction.
template <int kStep>
inline __attribute__((always_inline)) std::uint64_t step_bits(const std::byte* word) {
#if defined(__x86_64__)
    if constexpr (kFloats == 8) return static_cast<std::uint64_t>(word[kStep]);
#endif
    std::uint64_t bits = 0;
    std::memcpy(&bits, word, sizeof bits);
    return bits >> (kStep * kFloats) & kStepBits;
}

template <Dtype kDtype, int kTokens>
inline __attribute__((always_inline)) const std::byte* add_word(const std::byte* word,
                                                                const std::byte* values,
                                                                const float* columns,
                                                                StepSums<kTokens>& sums) {
    each<kBlockColumns / kFloats>([&]<int step>() __attribute__((always_inline)) {
        const std::uint64_t bits = step_bits<step>(word);
        const Floats weights = expand<kDtype>(values, bits);
        values += __builtin_popcountll(bits) * kItemBytes<kDtype>;
        each<kTokens>([&]<int t>() __attribute__((always_inline)) {
            sums[step % steps_of(kTokens)][t] +=
                weights * load<Floats>(columns + t * kFewColumns + step * kFloats);
        });
    });
    return values;
}

// Each block is a stream of its own; hardware follows a few of them alone.
inline void prefetch_values(const std::byte* values) {
    constexpr int kLine = 64, kAhead = 512;
    __builtin_prefetch(values + kAhead);
    __builtin_prefetch(values + kAhead + kLine);
}

template <Dtype kDtype, int kTokens>
inline void add_windows(const PackedWindow* blocks, int count, const float* columns,
                        float* target) {
    const std::byte* values[kFewBlocks];
    for (int b = 0; b < count; ++b) values[b] = blocks[b].values;
    for (std::int64_t row = 0; row < blocks[0].rows; ++row, target += kTokens * kFloats) {
        StepSums<kTokens> sums = {};
        for (int b = 0; b < count; ++b) {
            prefetch_values(values[b]);
            values[b] = add_word<kDtype, kTokens>(blocks[b].words + row * 8, values[b],
                                                  columns + b * kBlockColumns, sums);
        }
        each<kTokens>([&]<int t>() __attribute__((always_inline)) {
            Floats total = load<Floats>(target + t * kFloats);
            for (int step = 0; step < steps_of(kTokens); ++step) total += sums[step][t];
            store(target + t * kFloats, total);
        });
    }
}

inline void multiply_few(const PackedWindow* blocks, int count, Dtype dtype, const float* columns,
                         int tokens, float* sums) {
    visit_values(dtype, [&]<Dtype kDtype>() {
        each<kMostFewTokens>([&]<int t>() __attribute__((always_inline)) {
            if (tokens == t + 1) add_windows<kDtype, t + 1>(blocks, count, columns, sums);
        });
    });
}

inline void turn_few(const float* sums, int tokens, int rows, float* turned) {
    for (int row = 0; row < rows; ++row)
        for (int token = 0; token < tokens; ++token, sums += kFloats) {
            float total = 0.0F;
            for (int lane = 0; lane < kFloats; ++lane) total += sums[lane];
            turned[token * kWindowRows + row] = total;
        }
}

}  // namespace tnm::TNM_ISA
