// From scores to 16-bit integers, every tile scaled by a power of two of its own.
#pragma once

#include "strip/lanes.hpp"
#include "strip/strip.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kFractionBits = 14;
inline constexpr std::int16_t kPriceBound = (1 << kFractionBits) - 1;

struct alignas(64) QuantizedStrip {
    std::int16_t by_row[kLargestStripM * kStripColumns];
    std::int16_t by_column[kLargestStripM * kStripColumns];
    // Lane c: a price of p stands for p * unit[c], exactly.
    double unit[kStripColumns];
    std::uint64_t out_of_range;  // lanes of tiles that are too large or too small to be scaled
};

template <class T>
struct ScoreTraits;
template <>
struct ScoreTraits<float> {
    using Vector = Floats;
    using BitsVector = Int32s;
    using Bits = std::int32_t;
    static constexpr int kMantissaBits = 23, kBias = 127;
    // The range of 2^exponent in which scales and units are normal numbers.
    static constexpr int kLeastExponent = -100, kLargestExponent = 126;
};
template <>
struct ScoreTraits<double> {
    using Vector = Doubles;
    using BitsVector = Int64s;
    using Bits = std::int64_t;
    static constexpr int kMantissaBits = 52, kBias = 1023;
    static constexpr int kLeastExponent = -900, kLargestExponent = 900;
};

template <class Vector>
inline Vector magnitude(Vector vector) {
    return maximum(vector, -vector);
}

template <int kDistance, class Vector>
inline __attribute__((always_inline)) Vector swap_lanes(Vector vector) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(vector, vector, (l ^ kDistance)...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// Gives every lane of a field the largest of all its lanes.
template <int kW, class Vector, class T, int kDistance = kW / 2>
inline void spread_maximum(T* lanes) {
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        const Vector vector = load<Vector>(lanes + c);
        if constexpr (kDistance < kLanes<Vector>) {
            store(lanes + c, maximum(vector, swap_lanes<kDistance>(vector)));
        } else if ((c & kDistance) == 0) {
            const Vector both = maximum(vector, load<Vector>(lanes + c + kDistance));
            store(lanes + c, both);
            store(lanes + c + kDistance, both);
        }
    }
    if constexpr (kDistance > 1) spread_maximum<kW, Vector, T, kDistance / 2>(lanes);
}

// Exponents e of each lane's tile: the largest magnitude lies in [2^(e - 1), 2^e); 0 for a tile of
// zeros and for one whose scale would not be a normal number, which is marked out of range.
template <int kW, class T>
inline void find_exponents(const T* scores, typename ScoreTraits<T>::Bits* exponents,
                           QuantizedStrip& strip) {
    using Traits = ScoreTraits<T>;
    using Vector = typename Traits::Vector;
    using BitsVector = typename Traits::BitsVector;
    using Bits = typename Traits::Bits;
    alignas(64) T largest[kStripColumns];
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        Vector most = magnitude(load<Vector>(scores + c));
        for (int i = 1; i < kW; ++i)
            most = maximum(most, magnitude(load<Vector>(scores + i * kStripColumns + c)));
        store(largest + c, most);
    }
    spread_maximum<kW, Vector>(largest);
    strip.out_of_range = 0;
    for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
        const Vector most = load<Vector>(largest + c);
        BitsVector exponent =
            (reinterpret_cast<BitsVector>(most) >> Traits::kMantissaBits) - (Traits::kBias - 1);
        exponent = most == static_cast<T>(0) ? BitsVector{} : exponent;
        const BitsVector outside = (exponent < static_cast<Bits>(Traits::kLeastExponent)) |
                                   (exponent > static_cast<Bits>(Traits::kLargestExponent));
        strip.out_of_range |= bits_of(outside) << c;
        store(exponents + c, outside ? BitsVector{} : exponent);
    }
}

// by_row = scores * 2^(14 - exponent), rounded towards zero and clamped.
template <int kW, class T>
inline void round_to_int16(const T* scores, const typename ScoreTraits<T>::Bits* exponents,
                           std::int16_t* by_row) {
    using Traits = ScoreTraits<T>;
    using BitsVector = typename Traits::BitsVector;
    constexpr T kLimit = kPriceBound;
    alignas(64) T scales[kStripColumns];
    for (int c = 0; c < kStripColumns; c += kLanes<BitsVector>)
        store(scales + c, reinterpret_cast<typename Traits::Vector>(
                              (kFractionBits + Traits::kBias - load<BitsVector>(exponents + c))
                              << Traits::kMantissaBits));
    for (int i = 0; i < kW; ++i) {
        for (int c = 0; c < kStripColumns; ++c) {
            T scaled = scores[i * kStripColumns + c] * scales[c];
            scaled = scaled < kLimit ? scaled : kLimit;
            scaled = scaled > -kLimit ? scaled : -kLimit;
            by_row[i * kStripColumns + c] =
                static_cast<std::int16_t>(static_cast<std::int32_t>(scaled));
        }
    }
}

// Column sums of the magnitudes, in units of 64, so that they fit 16 bits.
inline constexpr int kCoarseBits = 6;
template <int kW>
inline void sum_magnitudes(const std::int16_t* by_row, std::int16_t* sums) {
    for (int c = 0; c < kStripColumns; c += kLanes<Int16s>) {
        Int16s sum{};
        for (int i = 0; i < kW; ++i)
            sum += magnitude(load<Int16s>(by_row + i * kStripColumns + c)) >> kCoarseBits;
        store(sums + c, sum);
    }
}

// By how many bits a tile can be scaled up. Prices are of the order of the n-th largest of m
// scores, on average at most m/n times the mean magnitude; scores beyond twice that need no
// resolution and may be clamped, which they are where the largest score is far above the rest.
template <int kW>
inline int spare_bits(const std::int16_t* sums, Pattern pattern) {
    int total = 0;
    for (int k = 0; k < kW; ++k) total += sums[k];
    const unsigned range = (static_cast<unsigned>(total) << (kCoarseBits + 1)) / static_cast<unsigned>(pattern.m * pattern.n);
    if (range == 0) return kCoarseBits;
    const int used = 32 - __builtin_clz(range);
    return used + 2 <= kFractionBits ? kFractionBits - used : 0;
}

// Scales tiles up where that pays; returns whether there were any.
template <int kW, class Bits>
inline bool lower_exponents(const std::int16_t* by_row, Pattern pattern, Bits least,
                            Bits* exponents) {
    alignas(64) std::int16_t sums[kStripColumns];
    sum_magnitudes<kW>(by_row, sums);
    bool any = false;
    for (int first = 0; first < kStripColumns; first += kW) {
        const int bits = spare_bits<kW>(sums + first, pattern);
        if (bits == 0 || exponents[first] - bits < least) continue;
        for (int k = 0; k < kW; ++k) exponents[first + k] -= static_cast<Bits>(bits);
        any = true;
    }
    return any;
}

template <int kW, class T>
inline void quantize(const T* scores, Pattern pattern, QuantizedStrip& strip) {
    using Traits = ScoreTraits<T>;
    // Each time scores can be scaled up by several bits; 12 decades take three.
    constexpr int kMostRounds = 4;
    alignas(64) typename Traits::Bits exponents[kStripColumns];
    find_exponents<kW>(scores, exponents, strip);
    round_to_int16<kW>(scores, exponents, strip.by_row);
    for (int round = 1; round < kMostRounds; ++round) {
        if (!lower_exponents<kW>(strip.by_row, pattern,
                                 static_cast<typename Traits::Bits>(Traits::kLeastExponent), exponents))
            break;
        round_to_int16<kW>(scores, exponents, strip.by_row);
    }
    for (int c = 0; c < kStripColumns; ++c) {
        const std::int64_t bits = static_cast<std::int64_t>(exponents[c] - kFractionBits + 1023) << 52;
        std::memcpy(&strip.unit[c], &bits, sizeof bits);
    }
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
        for (int c = 0; c < kStripColumns; ++c)
            if (i >= m || real_lanes[c] == 0) by_row[i * kStripColumns + c] = kPadding;
}

}  // namespace tnm::TNM_ISA
