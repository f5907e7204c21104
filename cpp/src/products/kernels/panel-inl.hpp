// Activations of many tokens to panels, where lanes are tokens, and sums back.
#pragma once

#include "products/kernels/elements-inl.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

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
    // Behind the last column there are zeros, for what is left of a row.
    for (int token = 0; token < stride; token += kFloats)
        store(columns + kBlockColumns * stride + token, Floats{});
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
