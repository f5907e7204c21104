// What products are made of, once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "products/packed_layout.hpp"

namespace tnm {

// The most tokens that one call of a kernel takes, in lanes or one after another.
inline constexpr int kMostPanelTokens = 128;
inline constexpr int kMostFewTokens = 8;
// So many blocks of columns does the kernel for few tokens take at once.
inline constexpr int kFewBlocks = 4;
inline constexpr int kFewColumns = kFewBlocks * static_cast<int>(kBlockColumns);

// Columns of the activations of a few tokens: element (t, j) is at tokens[t] + j * column_stride.
struct ActivationBlock {
    const std::byte* const* tokens;
    int count;
    std::int64_t column_stride;
    int columns;
    Dtype dtype;
};

// Rows of the result: element (t, r) goes to tokens[t] + r * row_stride.
struct ResultBlock {
    std::byte* const* tokens;
    int count;
    std::int64_t row_stride;
    int rows;
    Dtype dtype;
    const float* bias;  // of the first row, may be null
    Activation activation;
};

// Lanes are tokens. A panel holds a block of columns, one after another.
struct PanelKernels {
    int lanes;         // tokens of a vector
    int most_vectors;  // of a panel

    // In each column vectors * lanes tokens, zeros where there are none. The panel has room for
    // kBlockColumns + 1 columns.
    void (*load)(const ActivationBlock& block, int vectors, void* panel);
    // Adds the products of a window to its sums: rows, in each vectors * lanes tokens. Values are
    // floats, or what the window holds if the kernels are for that.
    void (*multiply)(const PackedWindow& window, const void* values, const void* panel, int vectors,
                     float* sums);
};

struct ProductKernels {
    int lanes;     // of a vector of floats
    int most_few;  // up to so many tokens multiply_few() is faster

    PanelKernels panel;
    // Sums of up to kWindowRows rows of `stride` tokens, turned: tokens, in each kWindowRows rows.
    void (*turn_panel)(const float* sums, int stride, int rows, float* turned);

    // Tokens one after another, in each kFewColumns columns, zeros where there are none. Returns
    // whether all are finite.
    bool (*load_few)(const ActivationBlock& block, float* columns);
    // Adds the products of windows of several blocks to sums: rows, in each a vector a token.
    void (*multiply_few)(const PackedWindow* blocks, int count, Dtype dtype, const float* columns,
                         int tokens, float* sums);
    void (*turn_few)(const float* sums, int tokens, int rows, float* turned);

    // Adds the bias, applies the activation, converts and stores what was turned.
    void (*finish)(const float* turned, const ResultBlock& block);
    // The same of sums as they are, where the rows of a token do not lie next to each other.
    void (*finish_rows)(const float* sums, int stride, const ResultBlock& block);

    void (*widen)(const std::byte* values, Dtype dtype, std::int64_t count, float* target);
};

const ProductKernels& product_kernels();

// Those that multiply bfloat16 as it is; null where the instruction set has no such products.
const PanelKernels* bfloat16_kernels();

}  // namespace tnm
