// Many tokens: lanes are tokens, and the sums of a row stay in registers over a block of columns.
#pragma once

#include "products/kernels/elements-inl.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// A vector holds kFloats tokens of a column; a panel must stay in the first-level cache.
inline constexpr int kMostVectors = kVectorBytes == 64 ? 6 : 8;

inline void store_square(Floats (&lines)[kFloats], int columns, int stride, float* target) {
    transpose_lines(lines);
    for (int j = 0; j < kFloats && j < columns; ++j) store(target + j * stride, lines[j]);
}

template <Dtype kDtype>
inline void load_square(const ActivationBlock& block, int token, int column, int stride,
                        float* panel) {
    Floats lines[kFloats];
    each<kFloats>([&]<int i>() __attribute__((always_inline)) {
        lines[i] = load_floats<kDtype>(block.tokens[token + i] + column * kItemBytes<kDtype>);
    });
    store_square(lines, kFloats, stride, panel + column * stride + token);
}

// As much of a square as there is.
template <Dtype kDtype>
inline void load_part(const ActivationBlock& block, int token, int column, int stride,
                      float* panel) {
    Floats lines[kFloats] = {};
    const int columns = block.columns - column < kFloats ? block.columns - column : kFloats;
    for (int i = 0; i < kFloats && token + i < block.count; ++i)
        lines[i] =
            load_first<kDtype>(block.tokens[token + i] + column * kItemBytes<kDtype>, columns);
    store_square(lines, columns, stride, panel + column * stride + token);
}

// The columns of the next block: no pattern of addresses gives them away.
template <Dtype kDtype>
inline void prefetch_next_block(const std::byte* token) {
    constexpr int kLine = 64;
    constexpr int kBytes = kBlockColumns * kItemBytes<kDtype>;
    for (int byte = 0; byte < kBytes; byte += kLine)
        __builtin_prefetch(token + kBytes + byte, 0, 2);
}

// Columns that lie next to each other.
template <Dtype kDtype>
inline void load_rows(const ActivationBlock& block, int token, int stride, float* panel) {
    for (int i = 0; i < kFloats && token + i < block.count; ++i)
        prefetch_next_block<kDtype>(block.tokens[token + i]);
    for (int column = 0; column < block.columns; column += kFloats) {
        if (token + kFloats <= block.count && column + kFloats <= block.columns)
            load_square<kDtype>(block, token, column, stride, panel);
        else
            load_part<kDtype>(block, token, column, stride, panel);
    }
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
    // Behind the last column there are zeros, for add_rest().
    for (int token = 0; token < stride; token += kFloats)
        store(columns + kBlockColumns * stride + token, Floats{});
}

// What is left of a row of a block.
struct KeptColumns {
    std::uint64_t word;
    const float* values;
};

// The column of the lowest bit, which is taken away; 64 if there is none.
inline std::size_t take_column(std::uint64_t& word) {
    const std::size_t column = word == 0 ? 64 : static_cast<std::size_t>(__builtin_ctzll(word));
    word &= word - 1;
    return column;
}

inline Floats load_value(const float* values) {
    float value = 0.0F;
    std::memcpy(&value, values, sizeof value);
    return broadcast(value);
}

// Four values, repeated in every 128 bits.
inline Floats repeat_four(const float* values) {
#if defined(__AVX512F__)
    return _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(values));
#elif defined(__AVX2__)
    return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(values));
#else
    return load<Floats>(values);
#endif
}

// One of them in all lanes.
template <int kValue>
inline __attribute__((always_inline)) Floats spread(Floats four) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(four, four, (l / 4 * 4 + kValue)...);
    }(std::make_index_sequence<kFloats>{});
}

// The sums of a few vectors alone would wait for each other: columns take turns.
constexpr int turns_of(int vectors) {
    return vectors <= 2 ? 4 : vectors <= 5 ? 2 : 1;
}
template <int kVectors>
using RowSums = Floats[turns_of(kVectors)][kVectors];

template <int kVectors>
inline __attribute__((always_inline)) void add_column(const float* tokens, Floats weight,
                                                      Floats (&sums)[kVectors]) {
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[v] += weight * load<Floats>(tokens + v * kFloats);
    });
}

// Many vectors keep the units for loads busy: one load for four values relieves them.
template <int kVectors>
inline __attribute__((always_inline)) void add_four(KeptColumns& kept, const float* panel,
                                                    RowSums<kVectors>& sums) {
    constexpr int kTurns = turns_of(kVectors);
    const Floats four = kTurns == 1 ? repeat_four(kept.values) : Floats{};
    each<4>([&]<int k>() __attribute__((always_inline)) {
        const Floats weight = kTurns == 1 ? spread<k>(four) : load_value(kept.values + k);
        const auto column = static_cast<std::size_t>(__builtin_ctzll(kept.word));
        kept.word &= kept.word - 1;
        add_column(panel + column * (kVectors * kFloats), weight, sums[k % kTurns]);
    });
    kept.values += 4;
}

// One to three that are left, and zeros with the column of zeros behind the panel: how many there
// are can't be foreseen where a mask is irregular, and a wrong guess costs more than this.
template <int kVectors>
inline __attribute__((always_inline)) void add_rest(KeptColumns& kept, int left, const float* panel,
                                                    RowSums<kVectors>& sums) {
    each<3>([&]<int k>() __attribute__((always_inline)) {
        const Floats weight = k < left ? load_value(kept.values + k) : Floats{};
        const std::size_t column = take_column(kept.word);
        add_column(panel + column * (kVectors * kFloats), weight, sums[k % turns_of(kVectors)]);
    });
    kept.values += left;
}

template <int kVectors>
inline const float* add_row(std::uint64_t word, const float* values, const float* panel,
                            float* target) {
    RowSums<kVectors> sums = {};
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[0][v] = load<Floats>(target + v * kFloats);
    });
    KeptColumns kept{word, values};
    const int count = __builtin_popcountll(word);
    for (int fours = count / 4; fours > 0; --fours) add_four(kept, panel, sums);
    if (count % 4 != 0) add_rest(kept, count % 4, panel, sums);
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        Floats total = sums[0][v];
        for (int turn = 1; turn < turns_of(kVectors); ++turn) total += sums[turn][v];
        store(target + v * kFloats, total);
    });
    return kept.values;
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
