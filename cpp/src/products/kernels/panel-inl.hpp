// Many tokens: lanes are tokens, and the sums of a row stay in registers over a block of columns.
#pragma once

#include "products/kernels/elements-inl.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// A vector holds kFloats tokens of a column; a panel must stay in the first-level cache.
inline constexpr int kMostVectors = kVectorBytes == 64 ? 6 : 8;

template <Dtype kDtype>
inline void load_square(const ActivationBlock& block, int token, int column, int stride,
                        float* panel) {
    Floats rows[kFloats];
    const int tokens = block.count - token, columns = block.columns - column;
    for (int i = 0; i < kFloats; ++i) {
        if (i >= tokens) {
            rows[i] = Floats{};
            continue;
        }
        const std::byte* source = block.tokens[token + i] + column * kItemBytes<kDtype>;
        rows[i] =
            columns >= kFloats ? load_floats<kDtype>(source) : load_first<kDtype>(source, columns);
    }
    transpose_lines(rows);
    for (int j = 0; j < kFloats && j < columns; ++j)
        store(panel + (column + j) * stride + token, rows[j]);
}

// Columns that lie next to each other.
template <Dtype kDtype>
inline void load_contiguous_columns(const ActivationBlock& block, int stride, float* panel) {
    for (int token = 0; token < stride; token += kFloats)
        for (int column = 0; column < block.columns; column += kFloats)
            load_square<kDtype>(block, token, column, stride, panel);
}

template <Dtype kDtype>
inline void load_strided(const ActivationBlock& block, int stride, float* panel) {
    for (int column = 0; column < block.columns; ++column) {
        float* target = panel + column * stride;
        for (int token = 0; token < stride; ++token)
            target[token] =
                token < block.count
                    ? load_one<kDtype>(block.tokens[token] + column * block.column_stride)
                    : 0.0F;
    }
}

inline void load_panel(const ActivationBlock& block, int vectors, float* panel) {
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        if (block.column_stride == kItemBytes<kDtype>)
            load_contiguous_columns<kDtype>(block, vectors * kFloats, panel);
        else
            load_strided<kDtype>(block, vectors * kFloats, panel);
    });
}

// What is left of some columns of a row.
struct KeptColumns {
    std::uint64_t word;
    const float* values;
};

// Takes the first of them away.
template <int kVectors>
inline __attribute__((always_inline)) void add_column(KeptColumns& kept, const float* panel,
                                                      Floats (&sums)[kVectors]) {
    const auto column = static_cast<std::size_t>(__builtin_ctzll(kept.word));
    const float* tokens = panel + column * (kVectors * kFloats);
    const Floats weight = broadcast(*kept.values++);
    kept.word &= kept.word - 1;
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[v] += weight * load<Floats>(tokens + v * kFloats);
    });
}

// The sums of a few vectors alone would wait for each other, and the next column for the one
// before: both halves of a word take turns, twice in a round where there is one vector or two.
template <int kVectors>
inline __attribute__((always_inline)) void add_in_turns(KeptColumns& lower, KeptColumns& upper,
                                                        const float* panel,
                                                        Floats (&sums)[kVectors]) {
    constexpr int kRounds = kVectors <= 2 ? 2 : 1;
    Floats others[2 * kRounds - 1][kVectors] = {};
    const int in_lower = __builtin_popcountll(lower.word);
    const int in_upper = __builtin_popcountll(upper.word);
    for (int left = in_lower < in_upper ? in_lower : in_upper; left >= kRounds; left -= kRounds) {
        add_column(lower, panel, sums);
        add_column(upper, panel, others[0]);
        if constexpr (kRounds == 2) {
            add_column(lower, panel, others[1]);
            add_column(upper, panel, others[2]);
        }
    }
    each<2 * kRounds - 1>([&]<int k>() __attribute__((always_inline)) {
        each<kVectors>([&]<int v>() __attribute__((always_inline)) { sums[v] += others[k][v]; });
    });
}

template <int kVectors>
inline const float* add_row(std::uint64_t word, const float* values, const float* panel,
                            float* target) {
    Floats sums[kVectors];
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[v] = load<Floats>(target + v * kFloats);
    });
    const float* const end = values + __builtin_popcountll(word);
    KeptColumns rest{word, values};
    if constexpr (kVectors < 6) {
        rest.word = word & 0xffffffffU;
        KeptColumns upper{word ^ rest.word, values + __builtin_popcountll(rest.word)};
        add_in_turns(rest, upper, panel, sums);
        while (upper.word != 0) add_column(upper, panel, sums);
    }
    while (rest.word != 0) add_column(rest, panel, sums);
    each<kVectors>([&]<int v>()
                       __attribute__((always_inline)) { store(target + v * kFloats, sums[v]); });
    return end;
}

inline void multiply_panel(const PackedWindow& window, const float* values, const float* panel,
                           int vectors, float* sums) {
    each<kMostVectors>([&]<int v>() __attribute__((always_inline)) {
        constexpr int kVectors = v + 1;
        if (vectors != kVectors) return;
        for (std::int64_t row = 0; row < window.rows; ++row) {
            std::uint64_t word = 0;
            std::memcpy(&word, window.words + row * 8, 8);
            values = add_row<kVectors>(word, values, panel, sums + row * (kVectors * kFloats));
        }
    });
}

// Rows beyond the last are read, too: there is room for whole windows.
inline void turn_panel(const float* sums, int vectors, int rows, float* turned) {
    const int stride = vectors * kFloats;
    for (int row = 0; row < rows; row += kFloats)
        for (int token = 0; token < stride; token += kFloats) {
            Floats square[kFloats];
            for (int i = 0; i < kFloats; ++i)
                square[i] = load<Floats>(sums + (row + i) * stride + token);
            transpose_lines(square);
            for (int i = 0; i < kFloats; ++i)
                store(turned + (token + i) * kWindowRows + row, square[i]);
        }
}

}  // namespace tnm::TNM_ISA
