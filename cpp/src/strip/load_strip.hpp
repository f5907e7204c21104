// Reading rows of 64 neighbouring floating-point elements as scores.
#pragma once

#include "strip/lanes.hpp"
#include "strip/strip.hpp"
#include "strip/strip_kernels.hpp"

namespace tnm::TNM_ISA {

// Shifted into place a float16 is off by 2^112; the multiplication mends that, denormals included.
// Infinity and NaN come out too large for a float16, and are turned into infinity.
inline void convert_float16(const std::uint16_t* halves, float* values) {
    for (int c = 0; c < kStripColumns; ++c) {
        const std::uint32_t half = halves[c];
        const std::uint32_t magnitude_bits = (half & 0x7fffU) << 13;
        const std::uint32_t special = magnitude_bits >= 0x0f800000U ? 0x7f800000U : 0U;
        float magnitude_value;
        std::memcpy(&magnitude_value, &magnitude_bits, sizeof magnitude_value);
        magnitude_value *= 0x1p112F;
        std::uint32_t bits;
        std::memcpy(&bits, &magnitude_value, sizeof bits);
        bits |= special | (half & 0x8000U) << 16;
        std::memcpy(values + c, &bits, sizeof bits);
    }
}

inline void convert_bfloat16(const std::uint16_t* halves, float* values) {
    for (int c = 0; c < kStripColumns; ++c) {
        const std::uint32_t bits = static_cast<std::uint32_t>(halves[c]) << 16;
        std::memcpy(values + c, &bits, sizeof bits);
    }
}

template <Dtype kDtype, class T>
inline void read_row(const std::byte* data, T* values) {
    if constexpr (kDtype == Dtype::float16 || kDtype == Dtype::bfloat16) {
        std::uint16_t halves[kStripColumns];
        std::memcpy(halves, data, sizeof halves);
        if constexpr (kDtype == Dtype::float16)
            convert_float16(halves, values);
        else
            convert_bfloat16(halves, values);
    } else {
        std::memcpy(values, data, sizeof(T) * kStripColumns);
    }
}

template <Dtype kDtype, Score kScore, class T>
bool load_strip(const std::byte* data, std::int64_t row_stride, int rows, T* scores) {
    using Vector = typename VectorOf<T>::type;
    const Vector largest_finite =
        splat<Vector>(sizeof(T) == 4 ? static_cast<T>(__FLT_MAX__) : static_cast<T>(__DBL_MAX__));
    decltype(largest_finite <= largest_finite) finite = largest_finite <= largest_finite;
    for (int i = 0; i < rows; ++i) {
        T* target = scores + i * kStripColumns;
        read_row<kDtype>(data + i * row_stride, target);
        for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
            const Vector value = load<Vector>(target + c);
            const Vector size = value < static_cast<T>(0) ? -value : value;
            finite &= size <= largest_finite;  // NaN fails as well
            if constexpr (kScore == Score::abs) store(target + c, size);
        }
    }
    return bits_of(~finite) == 0;
}

template <Dtype kDtype, class T>
LoadStrip<T> loader_of(Score score) {
    switch (score) {
        case Score::abs:
            return load_strip<kDtype, Score::abs, T>;
        case Score::identity:
            return load_strip<kDtype, Score::identity, T>;
        case Score::square:
            break;
    }
    return nullptr;
}

inline LoadStrip<float> float_loader(Dtype dtype, Score score) {
    switch (dtype) {
        case Dtype::float16:
            return loader_of<Dtype::float16, float>(score);
        case Dtype::bfloat16:
            return loader_of<Dtype::bfloat16, float>(score);
        case Dtype::float32:
            return loader_of<Dtype::float32, float>(score);
        default:
            return nullptr;
    }
}

inline LoadStrip<double> double_loader(Dtype dtype, Score score) {
    return dtype == Dtype::float64 ? loader_of<Dtype::float64, double>(score) : nullptr;
}

}  // namespace tnm::TNM_ISA
