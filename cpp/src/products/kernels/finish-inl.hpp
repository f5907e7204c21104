// From sums to the result: bias, activation, conversion, any stride.
#pragma once

#include "products/kernels/activations-inl.hpp"

namespace tnm::TNM_ISA {

template <Activation kActivation>
inline void activate_rows(float* sums, int rows, const float* bias) {
    for (int row = 0; row < rows; row += kFloats) {
        Floats values = load<Floats>(sums + row);
        if (bias != nullptr) {
            const auto* source = reinterpret_cast<const std::byte*>(bias + row);
            values += rows - row >= kFloats ? load_floats<Dtype::float32>(source)
                                            : load_first<Dtype::float32>(source, rows - row);
        }
        store(sums + row, activate<kActivation>(values));
    }
}

inline void activate_rows(float* sums, const ResultBlock& block) {
    switch (block.activation) {
        case Activation::none:
            if (block.bias != nullptr)
                activate_rows<Activation::none>(sums, block.rows, block.bias);
            break;
        case Activation::relu:
            return activate_rows<Activation::relu>(sums, block.rows, block.bias);
        case Activation::gelu:
            return activate_rows<Activation::gelu>(sums, block.rows, block.bias);
        case Activation::gelu_tanh:
            return activate_rows<Activation::gelu_tanh>(sums, block.rows, block.bias);
        case Activation::silu:
            return activate_rows<Activation::silu>(sums, block.rows, block.bias);
    }
}

template <Dtype kDtype>
inline void store_rows(const float* sums, int rows, std::int64_t row_stride, std::byte* target) {
    for (int row = 0; row < rows; row += kFloats) {
        const Floats values = load<Floats>(sums + row);
        const int left = rows - row < kFloats ? rows - row : kFloats;
        std::byte* first = target + row * row_stride;
        if (row_stride != kItemBytes<kDtype>) {
            alignas(64) std::byte buffer[kVectorBytes];
            store_floats<kDtype>(buffer, values);
            for (int lane = 0; lane < left; ++lane)
                std::memcpy(first + lane * row_stride, buffer + lane * kItemBytes<kDtype>,
                            kItemBytes<kDtype>);
        } else if (left == kFloats) {
            store_floats<kDtype>(first, values);
        } else {
            store_first<kDtype>(first, left, values);
        }
    }
}

// Sums of a token are kWindowRows apart.
inline void finish(float* turned, const ResultBlock& block) {
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        for (int token = 0; token < block.count; ++token) {
            float* sums = turned + token * kWindowRows;
            activate_rows(sums, block);
            store_rows<kDtype>(sums, block.rows, block.row_stride, block.tokens[token]);
        }
    });
}

}  // namespace tnm::TNM_ISA
