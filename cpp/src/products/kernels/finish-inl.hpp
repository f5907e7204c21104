// From sums to the result: bias, activation, conversion, any stride.
#pragma once

#include "products/kernels/activations-inl.hpp"
#include "products/kernels/panel-inl.hpp"

namespace tnm::TNM_ISA {

// Calls visit.operator()<activation>() with the constant.
template <class Visit>
inline void visit_activation(Activation activation, Visit&& visit) {
    switch (activation) {
        case Activation::none:
            return visit.template operator()<Activation::none>();
        case Activation::relu:
            return visit.template operator()<Activation::relu>();
        case Activation::gelu:
            return visit.template operator()<Activation::gelu>();
        case Activation::gelu_tanh:
            return visit.template operator()<Activation::gelu_tanh>();
        case Activation::silu:
            return visit.template operator()<Activation::silu>();
    }
}

// As many of the lanes as are left, `stride` bytes apart.
template <Dtype kDtype>
inline void store_some(std::byte* target, std::int64_t stride, int left, Floats values) {
    if (stride == kItemBytes<kDtype> && left >= kFloats)
        return store_floats<kDtype>(target, values);
    alignas(64) std::byte buffer[kVectorBytes];
    store_floats<kDtype>(buffer, values);
    for (int lane = 0; lane < kFloats && lane < left; ++lane)
        std::memcpy(target + lane * stride, buffer + lane * kItemBytes<kDtype>, kItemBytes<kDtype>);
}

template <Dtype kDtype, Activation kActivation>
inline void finish_token(const float* sums, const ResultBlock& block, std::byte* target) {
    for (int row = 0; row < block.rows; row += kFloats) {
        const int left = block.rows - row;
        Floats values = load<Floats>(sums + row);
        if (block.bias != nullptr) {
            const auto* bias = reinterpret_cast<const std::byte*>(block.bias + row);
            values += left >= kFloats ? load_floats<Dtype::float32>(bias)
                                      : load_first<Dtype::float32>(bias, left);
        }
        store_some<kDtype>(target + row * block.row_stride, block.row_stride, left,
                           activate<kActivation>(values));
    }
}

// Tokens, in each kWindowRows rows.
inline void finish(const float* turned, const ResultBlock& block) {
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        visit_activation(block.activation, [&]<Activation kActivation>() {
            for (int token = 0; token < block.count; ++token)
                finish_token<kDtype, kActivation>(turned + token * kWindowRows, block,
                                                  block.tokens[token]);
        });
    });
}

// A vector of tokens of all rows.
template <Dtype kDtype, Activation kActivation>
inline void finish_vector(const float* sums, int stride, const ResultBlock& block, int token) {
    const int left = block.count - token;
    const bool neighbours = are_neighbours(block.tokens, token, block.count, kItemBytes<kDtype>);
    for (int row = 0; row < block.rows; ++row) {
        Floats values = load<Floats>(sums + row * stride + token);
        if (block.bias != nullptr) values += broadcast(block.bias[row]);
        values = activate<kActivation>(values);
        const std::int64_t offset = row * block.row_stride;
        if (neighbours) {
            store_some<kDtype>(block.tokens[token] + offset, kItemBytes<kDtype>, left, values);
            continue;
        }
        alignas(64) std::byte buffer[kVectorBytes];
        store_floats<kDtype>(buffer, values);
        for (int lane = 0; lane < kFloats && lane < left; ++lane)
            std::memcpy(block.tokens[token + lane] + offset, buffer + lane * kItemBytes<kDtype>,
                        kItemBytes<kDtype>);
    }
}

// Rows, in each `stride` tokens: as sums are before they are turned.
inline void finish_rows(const float* sums, int stride, const ResultBlock& block) {
    visit_values(block.dtype, [&]<Dtype kDtype>() {
        visit_activation(block.activation, [&]<Activation kActivation>() {
            for (int token = 0; token < block.count; token += kFloats)
                finish_vector<kDtype, kActivation>(sums, stride, block, token);
        });
    });
}

}  // namespace tnm::TNM_ISA
