// Many tokens: lanes are tokens, and the sums of a row stay in registers over a block of columns.
#pragma once

#include "products/kernels/elements-inl.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// A vector holds kFloats tokens of a column; a panel must stay in the first-level cache.
inline constexpr int kMostVectors = kVectorBytes == 64 ? 6 : 8;

// A vector of tokens, or as many as there are.
template <Dtype kDtype>
inline void load_square(const ActivationBlock& block, int token, int column, int stride,
                        float* panel) {
    Floats lines[kFloats];
    const int tokens = block.count - token, columns = block.columns - column;
    for (int i = 0; i < kFloats; ++i) {
        lines[i] = Floats{};
        if (i >= tokens) continue;
        const std::byte* source = block.tokens[token + i] + column * kItemBytes<kDtype>;
        lines[i] =
            columns >= kFloats ? load_floats<kDtype>(source) : load_first<kDtype>(source, columns);
    }
    transpose_lines(lines);
    for (int j = 0; j < kFloats && j < columns; ++j)
        store(panel + (column + j) * stride + token, lines[j]);
}

// Columns that lie next to each other.
template <Dtype kDtype>
inline void load_rows(const ActivationBlock& block, int token, int stride, float* panel) {
    for (int column = 0; column < block.columns; column += kFloats)
        load_square<kDtype>(block, token, column, stride, panel);
}

// Tokens that lie next to each other, as those of an image with its channels first.
template <Dtype kDtype>
inline void load_columns_first(const ActivationBlock& block, int token, int stride, float* panel) {
    const int tokens = block.count - token;
    for (int column = 0; column < block.columns; ++column) {
        const std::byte* source = block.tokens[token] + column * block.column_stride;
        store(panel + column * stride + token,
              tokens >= kFloats ? load_floats<kDtype>(source) : load_first<kDtype>(source, tokens));
    }
}

template <Dtype kDtype>
inline void load_one_by_one(const ActivationBlock& block, int token, int stride, float* panel) {
    for (int column = 0; column < block.columns; ++column)
        for (int i = 0; i < kFloats; ++i)
            panel[column * stride + token + i] =
                token + i < block.count
                    ? load_one<kDtype>(block.tokens[token + i] + column * block.column_stride)
                    : 0.0F;
}

// Whether tokens from `first` on, as many as a vector has, lie next to each other.
template <class Byte>
inline bool are_neighbours(Byte* const* tokens, int first, int count, std::int64_t item) {
    for (int t = first + 1; t < count && t < first + kFloats; ++t)
        if (tokens[t] - tokens[first] != (t - first) * item) return false;
    return true;
}

inline void load_panel(const ActivationBlock& block, int vectors, void* panel) {
    auto* columns = static_cast<float*>(panel);
    const int stride = vectors * kFloats;
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        constexpr std::int64_t kItem = kItemBytes<kDtype>;
        for (int token = 0; token < stride; token += kFloats) {
            if (block.column_stride == kItem)
                load_rows<kDtype>(block, token, stride, columns);
            else if (token < block.count && are_neighbours(block.tokens, token, block.count, kItem))
                load_columns_first<kDtype>(block, token, stride, columns);
            else
                load_one_by_one<kDtype>(block, token, stride, columns);
        }
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
    float value = 0.0F;
    std::memcpy(&value, kept.values++, sizeof value);
    const Floats weight = broadcast(value);
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

template <int kVectors>
inline void multiply_rows(const PackedWindow& window, const float* values, const float* panel,
                          float* sums) {
    for (std::int64_t row = 0; row < window.rows; ++row, sums += kVectors * kFloats) {
        std::uint64_t word = 0;
        std::memcpy(&word, window.words + row * 8, 8);
        values = add_row<kVectors>(word, values, panel, sums);
    }
}

inline void multiply_panel(const PackedWindow& window, const void* values, const void* panel,
                           int vectors, float* sums) {
    each<kMostVectors>([&]<int v>() __attribute__((always_inline)) {
        if (vectors == v + 1)
            multiply_rows<v + 1>(window, static_cast<const float*>(values),
                                 static_cast<const float*>(panel), sums);
    });
}

// Rows beyond the last are read, too: there is room for whole windows.
inline void turn_panel(const float* sums, int stride, int rows, float* turned) {
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
