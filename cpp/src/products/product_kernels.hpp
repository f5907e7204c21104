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
inline constexpr int kFewBlocks = 8;
inline constexpr int kFewColumns = kFewBlocks * static_cast<int>(kBlockColumns);

// Columns of the activations of a few tokens: element (t, j) is at tokens[t] + j * column_stride.
struct ActivationBlock {
    const std::byte* const* tokens;
    int count;
    std::int64_t column_stride;
    int columns;
    Dtype dtype;
};

// Rows of the result: element (t, r) goes to tokens[t] + r * row_stride, from sums + t *
// sums_stride
// + r.
struct ResultBlock {
    std::byte* const* tokens;
    int count;
    std::int64_t row_stride;
    int rows;
    Dtype dtype;
    const float* bias;  // of the first row, may be null
    Activation activation;
};

struct ProductKernels {
    int lanes;         // tokens of a vector
    int most_vectors;  // of a panel
    int most_few;      // up to so many tokens multiply_few() is faster

    // Columns one after another, in each vectors * lanes tokens, zeros where there are none.
    void (*load_panel)(const ActivationBlock& block, int vectors, float* panel);
    // Adds the products of a window to its sums: rows, in each vectors * lanes tokens.
    void (*multiply_panel)(const PackedWindow& window, const float* values, const float* panel,
                           int vectors, float* sums);
    // Sums of up to kWindowRows rows, turned: tokens, in each kWindowRows rows.
    void (*turn_panel)(const float* sums, int vectors, int rows, float* turned);

    // Tokens one after another, in each kFewColumns columns, zeros where there are none. Returns
    // whether all are finite.
    bool (*load_few)(const ActivationBlock& block, float* columns);
    // Adds the products of windows of several blocks to sums: rows, in each a vector a token.
    void (*multiply_few)(const PackedWindow* blocks, int count, Dtype dtype, const float* columns,
                         int tokens, float* sums);
    void (*turn_few)(const float* sums, int tokens, int rows, float* turned);

    // Adds the bias, applies the activation, converts and stores.
    void (*finish)(float* turned, const ResultBlock& block);

    void (*widen)(const std::byte* values, Dtype dtype, std::int64_t count, float* target);
    // Writes the kept ones of up to 64 elements of 2 or 4 bytes that lie one after another.
    // `has_room`: all 64 may be read, and kReadableBeyond bytes written beyond those that count.
    // Returns the end of these.
    std::byte* (*compress)(const std::byte* row, std::uint64_t word, std::int64_t item_size,
                           bool has_room, std::byte* target);
};

const ProductKernels& product_kernels();

}  // namespace tnm
