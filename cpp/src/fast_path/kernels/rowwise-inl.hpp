// Row-wise N:M on a strip: the n highest scores of every field of every row, ties to the lowest.
//
// An entry is kept if fewer than n others of its field beat it. Lane l meets every other lane of
// its field once as lane l ^ d, d = 1 .. w - 1, so there is nothing to sort and nothing to branch
// on.
#pragma once

#include "fast_path/kernels/dispatch-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// -1 in the lanes l of which lane l ^ kDistance is lower, for the vector whose first lane is
// `first`.
template <int kDistance, class Mask>
inline __attribute__((always_inline)) Mask partner_is_lower(int first) {
    int highest_bit = 1;
    while (highest_bit * 2 <= kDistance) highest_bit *= 2;
    if (highest_bit >= kLanes<Mask>)
        return splat<Mask>(static_cast<std::int8_t>((first & highest_bit) != 0 ? -1 : 0));
    Mask lower;
    for (int lane = 0; lane < kLanes<Mask>; ++lane)
        lower[lane] = (lane & highest_bit) != 0 ? -1 : 0;
    return lower;
}

template <int kDistance, class Vector, class T, class Mask>
inline __attribute__((always_inline)) void count_winner(const T* row, int first, Vector score,
                                                        Mask& rank) {
    constexpr int kInVector = kDistance % kLanes<Vector>;
    Vector partner = load<Vector>(row + (first ^ (kDistance - kInVector)));
    if constexpr (kInVector > 0) partner = swap_lanes<kInVector>(partner);
    const Mask tie_lost = partner_is_lower<kDistance, Mask>(first) & (partner == score);
    rank -= (partner > score) | tie_lost;
}

template <int kW, class T>
void mask_rowwise(const T* scores, Pattern pattern, std::uint64_t* kept) {
    using Vector = typename ScoreTraits<T>::Vector;
    using Mask = typename ScoreTraits<T>::BitsVector;
    alignas(64) T row[kStripColumns];
    for (int i = 0; i < pattern.m; ++i) {
        for (int c = 0; c < kStripColumns; ++c)
            row[c] = c % kW < pattern.m ? scores[i * kStripColumns + c]
                                        : static_cast<T>(-__builtin_inf());
        kept[i] = 0;
        for (int first = 0; first < kStripColumns; first += kLanes<Vector>) {
            const Vector score = load<Vector>(row + first);
            Mask rank{};
            [&]<std::size_t... d>(std::index_sequence<d...>) __attribute__((always_inline)) {
                (count_winner<static_cast<int>(d) + 1>(row, first, score, rank), ...);
            }(std::make_index_sequence<kW - 1>{});
            kept[i] |= bits_of(rank < pattern.n) << first;
        }
    }
}

template <class T>
inline MaskStrip<T> rowwise(Pattern pattern) {
    return by_field_width(pattern.m, []<int kW>() -> MaskStrip<T> { return mask_rowwise<kW, T>; });
}

}  // namespace tnm::TNM_ISA
