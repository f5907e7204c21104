// Reading rows of 64 neighbouring elements as scores.
#pragma once

#include "elements/by_element-inl.hpp"
#include "elements/read_elements-inl.hpp"
#include "fast_path/kernels/strip/by_field_width-inl.hpp"
#include "fast_path/kernels/strip/score_traits-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

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
// follows them in memory instead of padding.
using GatherFields = void (*)(const std::byte* row, int first, int m, std::byte* space);
template <int kW, int kBytes, int kGroup>
void gather_fields(const std::byte* row, int first, int m, std::byte* space) {
    constexpr int kPiece = kW < kGroup ? kW : kGroup;
    for (int lane = 0; lane < kGroup; lane += kPiece) {
        const int tile = (first + lane) / kW, within = (first + lane) % kW;
        std::memcpy(space + lane * kBytes, row + (tile * m + within) * kBytes, kPiece * kBytes);
    }
}

// All bits of the lanes that hold a column of a tile, none of padding.
template <class Bits>
inline void mark_real_columns(int m, Bits* lanes) {
    const int width = field_width(m);
    for (int c = 0; c < kStripColumns; ++c) lanes[c] = c % width < m ? -1 : 0;
}

// Finds the tiles whose scores may not be held exactly; see inexact_finder.
template <Dtype kDtype, Score kScore>
class DoubtfulTiles {
  public:
    static constexpr bool kRoots = kDtype == Dtype::float64 && kScore == Score::square;
    static constexpr bool kLong = kIsInteger<kDtype> && kScoreBits<kDtype, kScore> > 53;

    // Elements as they are in memory, or what stands for padding.
    void add_elements(const std::byte* data, int bytes) {
        if constexpr (kLong)
            for (int k = 0; k < bytes; k += kVectorBytes)
                bits_ |= load<Int64s>(reinterpret_cast<const std::int64_t*>(data + k));
    }
    // Roots whose squares lose bits below; those above show up in the largest square.
    void add_roots(Int64s magnitudes) {
        constexpr std::int64_t kLeastBits = std::int64_t{1022 - 450} << 52;
        if constexpr (kRoots) bits_ |= (magnitudes < kLeastBits) & (magnitudes != 0);
    }
    template <class T>
    std::uint64_t find(const StripScores<T>& scores, int m, double largest) const {
        std::uint64_t bits = 0;
        for (int lane = 0; lane < kLanes<Int64s>; ++lane)
            bits |= static_cast<std::uint64_t>(bits_[lane]);
        if constexpr (kLong) {
            // All scores are multiples of their lowest bit; see kExactBits.
            constexpr int kTimes = kScore == Score::square ? 2 : 1;
            if constexpr (kDtypeBytes<kDtype> == 4) bits |= bits >> 32;
            if (bits == 0) return 0;
            const double unit = static_cast<double>(bits & (~bits + 1));
            return largest < (kTimes == 2 ? unit * unit : unit) * 0x1p46 ? 0 : ~std::uint64_t{0};
        } else if constexpr (kDtype == Dtype::float64) {
            if (kRoots && (bits != 0 || !(largest < 0x1p1000))) return ~std::uint64_t{0};
            return tiles_of_close_scores(scores.values, m);
        } else {
            return 0;
        }
    }

  private:
    // Where no scores of the first two rows differ by more than 2^-10 of themselves.
    static std::uint64_t tiles_of_close_scores(const double* scores, int m) {
        const int width = field_width(m);
        std::uint64_t distant = 0, tiles = 0;
        for (int c = 0; c < kStripColumns; c += kLanes<Doubles>) {
            const auto upper = load<Doubles>(scores + c);
            const auto lower = load<Doubles>(scores + kStripColumns + c);
            const Doubles least = minimum(magnitude(upper), magnitude(lower));
            distant |= bits_of(magnitude(upper - lower) > least * 0x1p-10) << c;
        }
        for (int first = 0; first < kStripColumns; first += width)
            tiles |= static_cast<std::uint64_t>(
                         (distant >> first & ~std::uint64_t{0} >> (64 - width)) == 0)
                     << first / width;
        return tiles;
    }

    Int64s bits_{};
};

// With padding, up to field_width(m) - m elements beyond the last tile are read.
template <bool kPadded, Dtype kDtype, Score kScore, class T>
LoadedStrip load_strip(const std::byte* data, std::int64_t row_stride, int m,
                       StripScores<T>& scores) {
    using Vector = typename ScoreTraits<T>::Vector;
    using Bits = MagnitudeBits<T>;
    constexpr int kVectors = kLoadBytes / kVectorBytes, kBytes = kDtypeBytes<kDtype>;
    constexpr int kGroup = kLoadColumns<T>;
    alignas(64) typename ScoreTraits<T>::Bits real[kStripColumns];
    GatherFields gather = nullptr;
    if constexpr (kPadded) {
        mark_real_columns(m, real);
        gather = by_field_width(
            m, []<int kW>() -> GatherFields { return gather_fields<kW, kBytes, kGroup>; });
    }
    DoubtfulTiles<kDtype, kScore> doubtful;
    Bits most{};
    for (int first = 0; first < kStripColumns; first += kGroup) {
        Bits largest[kVectors] = {};
        for (int i = 0; i < m; ++i) {
            alignas(64) T space[kGroup];
            alignas(64) std::byte fields[kGroup * kBytes];
            const std::byte* elements = data + i * row_stride + first * kBytes;
            if constexpr (kPadded) {
                gather(data + i * row_stride, first, m, fields);
                elements = fields;
            }
            doubtful.add_elements(elements, kGroup * kBytes);
            const T* source = read_columns<kDtype, T>(elements, space);
            for (int k = 0; k < kVectors; ++k) {
                auto bits = reinterpret_cast<Bits>(load<Vector>(source + k * kLanes<Vector>));
                if constexpr (kPadded) bits &= load<Bits>(real + first + k * kLanes<Vector>);
                auto value = reinterpret_cast<Vector>(bits);
                if constexpr (sizeof(T) == sizeof(double))
                    doubtful.add_roots(reinterpret_cast<Int64s>(magnitude(value)));
                if constexpr (kScore == Score::square) value *= value;
                const Vector size = magnitude(value);
                store(scores.values + i * kStripColumns + first + k * kLanes<Vector>,
                      kScore == Score::abs ? size : value);
                largest[k] = maximum(largest[k], reinterpret_cast<Bits>(size));
            }
        }
        for (int k = 0; k < kVectors; ++k) {
            most = maximum(most, largest[k]);
            store(scores.largest + first + k * kLanes<Vector>,
                  reinterpret_cast<Vector>(largest[k]));
        }
    }
    T largest = 0;
    for (int lane = 0; lane < kLanes<Vector>; ++lane) {
        const T other = reinterpret_cast<Vector>(most)[lane];
        largest = other > largest || other != other ? other : largest;
    }
    // Squares that overflow are finite scores.
    return {doubtful.kRoots || all_finite<T>(most),
            doubtful.find(scores, m, static_cast<double>(largest))};
}

template <class T>
LoadStrip<T> loader(Dtype dtype, Score score, int m) {
    return by_element<LoadStrip<T>>(
        dtype, score, [m]<Dtype kDtype, Score kScore>() -> LoadStrip<T> {
            if constexpr (fits_float(kDtype, kScore) != (sizeof(T) == sizeof(float)))
                return nullptr;
            else if (field_width(m) == m)
                return load_strip<false, kDtype, kScore, T>;
            else
                return load_strip<true, kDtype, kScore, T>;
        });
}

}  // namespace tnm::TNM_ISA
