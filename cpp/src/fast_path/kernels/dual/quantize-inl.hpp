// From scores to 16-bit integers, every tile scaled by a power of two of its own.
#pragma once

#include "fast_path/kernels/dual/field_bits-inl.hpp"
#include "fast_path/kernels/strip/score_traits-inl.hpp"
#include "fast_path/strip.hpp"
#include "simd/vectors-inl.hpp"
#include "tnm/pattern.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kFractionBits = 14;
inline constexpr std::int16_t kPriceBound = (1 << kFractionBits) - 1;

struct alignas(64) QuantizedStrip {
    std::int16_t by_row[kLargestStripM * kStripColumns];
    std::int16_t by_column[kLargestStripM * kStripColumns];
    // Lane c: a price of p stands for p * unit[c], exactly.
    double unit[kStripColumns];
    std::uint64_t out_of_range;  // lanes of tiles that are too large or too small to be scaled
    std::uint64_t wide;          // lanes of tiles whose scores span too much for 16 bits
};

// Each brings up to 14 bits.
inline constexpr int kMostRescalings = 3;

// Gives every lane of a field the combination of all its lanes.
template <int kW, class Vector, int kDistance = kW / 2, class T, class Combine>
inline void spread(T* lanes, const Combine& combine) {
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        const Vector vector = load<Vector>(lanes + c);
        if constexpr (kDistance < kLanes<Vector>) {
            store(lanes + c, combine(vector, swap_lanes<kDistance>(vector)));
        } else if ((c & kDistance) == 0) {
            const Vector both = combine(vector, load<Vector>(lanes + c + kDistance));
            store(lanes + c, both);
            store(lanes + c + kDistance, both);
        }
    }
    if constexpr (kDistance > 1) spread<kW, Vector, kDistance / 2>(lanes, combine);
}

// Large tiles gain from every bit of resolution. Small ones gain nothing, unless their largest
// score is so far above the largest of some column that 16 bits lose sight of the rest.
template <int kW>
inline constexpr bool kAlwaysRescale = kW >= 32;
inline constexpr int kWideRangeBits = 3;

// Exponents e of each lane's tile: the largest magnitude lies in [2^(e - 1), 2^e); 0 for a tile of
// zeros and for one whose scale would not be a normal number, which is marked out of range. Returns
// the lanes of the tiles that ought to be rescaled.
template <int kW, class T>
inline std::uint64_t find_exponents(const T* lane_largest, typename ScoreTraits<T>::Bits* exponents,
                                    std::uint64_t& out_of_range) {
    using Traits = ScoreTraits<T>;
    using Vector = typename Traits::Vector;
    using BitsVector = typename Traits::BitsVector;
    using Bits = typename Traits::Bits;
    alignas(64) T largest[kStripColumns], least[kStripColumns];
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        const Vector most = load<Vector>(lane_largest + c);
        store(largest + c, most);
        // Lanes of zeros, padding among them, do not ask for resolution.
        const auto is_zero = most == static_cast<T>(0);
        store(least + c, is_zero ? splat<Vector>(static_cast<T>(__builtin_inf())) : most);
    }
    spread<kW, Vector>(largest, [](Vector a, Vector b) { return maximum(a, b); });
    if constexpr (!kAlwaysRescale<kW>)
        spread<kW, Vector>(least, [](Vector a, Vector b) { return minimum(a, b); });
    std::uint64_t wide = 0;
    out_of_range = 0;
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        const Vector most = load<Vector>(largest + c);
        BitsVector exponent =
            (reinterpret_cast<BitsVector>(most) >> Traits::kMantissaBits) - (Traits::kBias - 1);
        const BitsVector least_exponent =
            (reinterpret_cast<BitsVector>(load<Vector>(least + c)) >> Traits::kMantissaBits) -
            (Traits::kBias - 1);
        wide |= bits_of(exponent - least_exponent >= kWideRangeBits) << c;
        exponent = most == static_cast<T>(0) ? BitsVector{} : exponent;
        const BitsVector outside = (exponent < static_cast<Bits>(Traits::kLeastExponent)) |
                                   (exponent > static_cast<Bits>(Traits::kLargestExponent));
        out_of_range |= bits_of(outside) << c;
        store(exponents + c, outside ? BitsVector{} : exponent);
    }
    return kAlwaysRescale<kW> ? ~std::uint64_t{0} : wide;
}

// Scores that are scaled and clamped, as integers; written in vectors because compilers make more
// of the same loop over elements, a mask for every comparison.
inline Int32s clamped_integers(const float* scores, const float* scales) {
    constexpr float kLimit = kPriceBound;
    Floats scaled = load<Floats>(scores) * load<Floats>(scales);
    scaled = maximum(minimum(scaled, splat<Floats>(kLimit)), splat<Floats>(-kLimit));
    return __builtin_convertvector(scaled, Int32s);
}

inline Int32s clamped_integers(const double* scores, const double* scales) {
    const auto half = [&](int first) __attribute__((always_inline)) {
        constexpr double kLimit = kPriceBound;
        const Doubles scaled = load<Doubles>(scores + first) * load<Doubles>(scales + first);
        return __builtin_convertvector(
            maximum(minimum(scaled, splat<Doubles>(kLimit)), splat<Doubles>(-kLimit)), HalfInt32s);
    };
    const HalfInt32s first = half(0), second = half(kLanes<Doubles>);
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(first, second, l...);
    }(std::make_index_sequence<kLanes<Int32s>>{});
}

// The lower halves of all lanes.
inline Int16s narrow(Int32s first, Int32s second) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(reinterpret_cast<Int16s>(first),
                                       reinterpret_cast<Int16s>(second), (2 * l)...);
    }(std::make_index_sequence<kLanes<Int16s>>{});
}

template <class T>
inline void round_row(const T* scores, const T* scales, std::int16_t* target) {
    constexpr int kHalf = kLanes<Int32s>;
    for (int c = 0; c < kStripColumns; c += kLanes<Int16s>)
        store(target + c, narrow(clamped_integers(scores + c, scales + c),
                                 clamped_integers(scores + c + kHalf, scales + c + kHalf)));
}

// 2^(bits - exponent) in each lane.
template <class T>
inline void find_scales(const typename ScoreTraits<T>::Bits* exponents, int bits, T* scales) {
    using Traits = ScoreTraits<T>;
    using BitsVector = typename Traits::BitsVector;
    for (int c = 0; c < kStripColumns; c += kLanes<BitsVector>)
        store(scales + c, reinterpret_cast<typename Traits::Vector>(
                              (bits + Traits::kBias - load<BitsVector>(exponents + c))
                              << Traits::kMantissaBits));
}

// The inverse.
template <class Bits>
inline void find_units(const Bits* exponents, int bits, double* units) {
    for (int c = 0; c < kStripColumns; ++c) {
        const std::int64_t unit = static_cast<std::int64_t>(exponents[c] - bits + 1023) << 52;
        std::memcpy(&units[c], &unit, sizeof unit);
    }
}

// target row r = scores row r * kStep times 2^(14 - exponent), rounded towards zero and clamped.
template <int kRows, int kStep, class T>
inline void round_to_int16(const T* scores, const typename ScoreTraits<T>::Bits* exponents,
                           std::int16_t* target) {
    alignas(64) T scales[kStripColumns];
    find_scales<T>(exponents, kFractionBits, scales);
    for (int r = 0; r < kRows; ++r)
        round_row(scores + r * kStep * kStripColumns, scales, target + r * kStripColumns);
}

// A few rows of each tile, enough to tell the size of its scores.
template <int kW>
inline constexpr int kSampleStep = kW >= 64  ? 8
                                   : kW >= 8 ? 4
                                             : 1;
template <int kW>
inline constexpr int kSampleRows = kW / kSampleStep<kW>;

// Scores that leave these bits clear, such as small integers, are on a lattice: more resolution
// tells nothing new, and clamping the largest of them would hide that they tie.
inline constexpr std::uint32_t kUnusedBits = (1U << kFractionBits / 2) - 1;

// By how many bits a tile can be scaled up, judged by its sample. Prices are of the order of the
// n-th largest of m scores, on average at most m/n times the mean magnitude; larger scores need no
// resolution and may be clamped, which they are where the largest is far above the mean.
template <int kW>
inline int spare_bits(const std::int16_t* sample, Pattern pattern) {
    std::uint32_t total = 0, bits = 0;
    int rows = 0;
    for (; rows < kSampleRows<kW> && rows * kSampleStep<kW> < pattern.m; ++rows)
        for (int k = 0; k < kW; ++k) {
            const int score = sample[rows * kStripColumns + k];
            const auto size = static_cast<std::uint32_t>(score < 0 ? -score : score);
            total += size;
            bits |= size;
        }
    // The sums of small tiles scatter: twice the range.
    const std::uint32_t range =
        (kAlwaysRescale<kW> ? total : 2 * total) / static_cast<std::uint32_t>(rows * pattern.n);
    if (range == 0) return kFractionBits / 2;
    if ((bits & kUnusedBits) == 0) return 0;
    const int used = 32 - __builtin_clz(range);
    return used < kFractionBits ? kFractionBits - used : 0;
}

// Scales those of the given tiles up where that pays; returns the ones that were.
template <int kW, class Bits>
inline std::uint64_t lower_exponents(const std::int16_t* sample, std::uint64_t lanes,
                                     Pattern pattern, Bits* exponents) {
    std::uint64_t changed = 0;
    for (int first = 0; first < kStripColumns; first += kW) {
        if ((lanes >> first & 1) == 0) continue;
        const int bits = spare_bits<kW>(sample + first, pattern);
        for (int k = 0; k < kW; ++k) exponents[first + k] -= static_cast<Bits>(bits);
        changed |= static_cast<std::uint64_t>(bits != 0) << first;
    }
    return changed;
}

// Scores this many bits below the largest are out of sight for 16 bits, even if that is clamped.
inline constexpr int kBitsOutOfSight = 20;

// All lanes of those of the given tiles in which more than a quarter of the scores, to judge by
// four rows, are out of sight, but not zero.
template <int kW, class T>
inline std::uint64_t wide_lanes(const T* scores, const typename ScoreTraits<T>::Bits* exponents,
                                std::uint64_t lanes, int m) {
    using Vector = typename ScoreTraits<T>::Vector;
    alignas(64) T scales[kStripColumns];
    find_scales<T>(exponents, kBitsOutOfSight, scales);
    std::uint64_t unseen[4] = {}, wide = 0;
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
            const Vector size = magnitude(load<Vector>(scores + r * (kW / 4) * kStripColumns + c));
            const Vector scaled = size * load<Vector>(scales + c);
            unseen[r] |= bits_of((scaled < static_cast<T>(1)) & (size > static_cast<T>(0))) << c;
        }
    for (std::uint64_t rest = lanes & field_units<kW>(); rest != 0; rest &= rest - 1) {
        const int first = __builtin_ctzll(rest);
        int count = 0;
        for (const std::uint64_t row : unseen) count += popcount(row >> first & kFieldMask<kW>);
        if (count > 9 * m / 8) wide |= kFieldMask<kW> << first;
    }
    return wide;
}

template <int kW, class T>
inline void quantize(const StripScores<T>& scores, Pattern pattern, QuantizedStrip& strip) {
    using Traits = ScoreTraits<T>;
    alignas(64) typename Traits::Bits exponents[kStripColumns];
    alignas(64) std::int16_t sample[kSampleRows<kW> * kStripColumns];
    std::uint64_t lanes = find_exponents<kW>(scores.largest, exponents, strip.out_of_range);
    strip.wide = 0;
    if (lanes != 0)
        strip.wide =
            wide_lanes<kW>(scores.values, exponents, lanes & ~strip.out_of_range, pattern.m);
    lanes &= ~strip.wide;
    for (int round = 0; round < kMostRescalings && lanes != 0; ++round) {
        round_to_int16<kSampleRows<kW>, kSampleStep<kW>>(scores.values, exponents, sample);
        lanes = lower_exponents<kW>(sample, lanes, pattern, exponents);
    }
    round_to_int16<kW, 1>(scores.values, exponents, strip.by_row);
    find_units(exponents, kFractionBits, strip.unit);
}

// Lanes that hold a row or column of a tile, not padding.
template <int kW>
inline void mark_real_lanes(int m, std::int16_t* lanes) {
    for (int c = 0; c < kStripColumns; ++c) lanes[c] = c % kW < m ? -1 : 0;
}

// Below every score that can be compared with a price.
inline constexpr std::int16_t kPadding = -kPriceBound - 1;

template <int kW>
inline void exclude_padding(int m, const std::int16_t* real_lanes, std::int16_t* by_row) {
    for (int i = 0; i < kW; ++i)
        for (int c = 0; c < kStripColumns; c += kLanes<Int16s>) {
            std::int16_t* target = by_row + i * kStripColumns + c;
            const Int16s is_real = i < m ? load<Int16s>(real_lanes + c) : Int16s{};
            store(target, (load<Int16s>(target) & is_real) | (kPadding & ~is_real));
        }
}

}  // namespace tnm::TNM_ISA
