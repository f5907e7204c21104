// Reading rows of 64 neighbouring floating-point elements as scores.
#pragma once

#include "fast_path/kernels/dispatch-inl.hpp"
#include "fast_path/kernels/score_traits-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// Columns are taken in groups of this many bytes of scores, so that what a group collects stays in
// registers.
inline constexpr int kLoadBytes = 4 * kVectorBytes;
template <class T>
inline constexpr int kLoadColumns = kLoadBytes / static_cast<int>(sizeof(T));

// Shifted into place a float16 is off by 2^112; the multiplication mends that, denormals included.
// Infinity and NaN come out too large for a float16, and are turned into infinity.
inline void convert_float16(const std::uint16_t* halves, float* values) {
    for (int c = 0; c < kLoadColumns<float>; ++c) {
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
    for (int c = 0; c < kLoadColumns<float>; ++c) {
        const std::uint32_t bits = static_cast<std::uint32_t>(halves[c]) << 16;
        std::memcpy(values + c, &bits, sizeof bits);
    }
}

// Returns where the values are: in place if they need no conversion, else in `space`.
template <Dtype kDtype, class T>
inline const T* read_columns(const std::byte* data, T* space) {
    if constexpr (kDtype == Dtype::float16 || kDtype == Dtype::bfloat16) {
        std::uint16_t halves[kLoadColumns<T>];
        std::memcpy(halves, data, sizeof halves);
        if constexpr (kDtype == Dtype::float16)
            convert_float16(halves, space);
        else
            convert_bfloat16(halves, space);
        return space;
    } else {
        return reinterpret_cast<const T*>(data);
    }
}

template <Dtype kDtype>
inline constexpr int kDtypeBytes = kDtype == Dtype::float64   ? 8
                                   : kDtype == Dtype::float32 ? 4
                                                              : 2;

// As integers, magnitudes are ordered as their values are, and infinity and NaN come last.
template <class T>
using MagnitudeBits = typename ScoreTraits<T>::BitsVector;

template <class T>
inline bool all_finite(MagnitudeBits<T> largest) {
    constexpr auto kInfinityBits =
        static_cast<typename ScoreTraits<T>::Bits>(2 * ScoreTraits<T>::kBias + 1)
        << ScoreTraits<T>::kMantissaBits;
    return bits_of(largest >= kInfinityBits) == 0;
}

// The elements of a group of lanes from `first` on, side by side: of every field its m, and what
// follows them in memory instead of padding. kW = 0: fields without padding.
template <int kW, Dtype kDtype, class T>
inline const std::byte* gather_fields(const std::byte* row, int first, int m, std::byte* space) {
    constexpr int kBytes = kDtypeBytes<kDtype>, kGroup = kLoadColumns<T>;
    if constexpr (kW == 0) return row + first * kBytes;
    constexpr int kPiece = kW != 0 && kW < kGroup ? kW : kGroup;
    for (int lane = 0; lane < kGroup; lane += kPiece) {
        const int tile = (first + lane) / (kW + !kW), within = (first + lane) % (kW + !kW);
        std::memcpy(space + lane * kBytes, row + (tile * m + within) * kBytes, kPiece * kBytes);
    }
    return space;
}

// All bits of the lanes that hold a column of a tile, none of padding.
template <int kW, class T>
inline void mark_real_columns(int m, typename ScoreTraits<T>::Bits* lanes) {
    for (int c = 0; c < kStripColumns; ++c) lanes[c] = kW == 0 || c % (kW + !kW) < m ? -1 : 0;
}

// With padding, up to kW - m elements beyond the last tile are read.
template <int kW, Dtype kDtype, Score kScore, class T>
bool load_strip(const std::byte* data, std::int64_t row_stride, int rows, StripScores<T>& scores) {
    using Vector = typename ScoreTraits<T>::Vector;
    constexpr int kVectors = kLoadBytes / kVectorBytes;
    alignas(64) typename ScoreTraits<T>::Bits real[kStripColumns];
    if constexpr (kW != 0) mark_real_columns<kW, T>(rows, real);
    MagnitudeBits<T> most{};
    for (int first = 0; first < kStripColumns; first += kLoadColumns<T>) {
        MagnitudeBits<T> largest[kVectors] = {};
        for (int i = 0; i < rows; ++i) {
            alignas(64) T space[kLoadColumns<T>];
            alignas(64) std::byte fields[kLoadBytes];
            const T* source = read_columns<kDtype, T>(
                gather_fields<kW, kDtype, T>(data + i * row_stride, first, rows, fields), space);
            for (int k = 0; k < kVectors; ++k) {
                auto bits =
                    reinterpret_cast<MagnitudeBits<T>>(load<Vector>(source + k * kLanes<Vector>));
                if constexpr (kW != 0)
                    bits &= load<MagnitudeBits<T>>(real + first + k * kLanes<Vector>);
                const auto value = reinterpret_cast<Vector>(bits);
                const Vector size = magnitude(value);
                store(scores.values + i * kStripColumns + first + k * kLanes<Vector>,
                      kScore == Score::abs ? size : value);
                largest[k] = maximum(largest[k], reinterpret_cast<MagnitudeBits<T>>(size));
            }
        }
        for (int k = 0; k < kVectors; ++k) {
            most = maximum(most, largest[k]);
            store(scores.largest + first + k * kLanes<Vector>,
                  reinterpret_cast<Vector>(largest[k]));
        }
    }
    return all_finite<T>(most);
}

template <Dtype kDtype, Score kScore, class T>
LoadStrip<T> loader_of(int m) {
    if (field_width(m) == m) return load_strip<0, kDtype, kScore, T>;
    return by_field_width(
        m, []<int kW>() -> LoadStrip<T> { return load_strip<kW, kDtype, kScore, T>; });
}

inline LoadStrip<float> float_loader(Dtype dtype, Score score, int m) {
    return by_float_type<LoadStrip<float>>(dtype, score, [m]<Dtype kDtype, Score kScore>() {
        return loader_of<kDtype, kScore, float>(m);
    });
}

inline LoadStrip<double> double_loader(Dtype dtype, Score score, int m) {
    if (dtype != Dtype::float64 || score == Score::square) return nullptr;
    return score == Score::abs ? loader_of<Dtype::float64, Score::abs, double>(m)
                               : loader_of<Dtype::float64, Score::identity, double>(m);
}

}  // namespace tnm::TNM_ISA
