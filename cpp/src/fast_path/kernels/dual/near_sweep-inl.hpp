// Sweeps that move a price by one rank at most, without sorting.
//
// Most prices are near their place after a few sweeps. Then it is enough to count how many scores
// are above, and to know the two nearest on each side.
#pragma once

#include "fast_path/kernels/dual/field_bits-inl.hpp"
#include "fast_path/kernels/dual/sweep_side-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr std::int16_t kLeast = -0x8000, kMost = 0x7fff;

// Distances from a price, kept as unsigned numbers with the sign bit flipped: those above the price
// come first, nearest first, and those below come last, nearest last.
struct Nearest {
    Int16s above = splat<Int16s>(kMost), second_above = above;
    Int16s below = splat<Int16s>(kLeast), second_below = below;
    Int16s count{};  // not below the price

    inline __attribute__((always_inline)) void add(Int16s one, Int16s other) {
        count -= (one < 0) + (other < 0);
        const Int16s first = minimum(one, other), last = maximum(one, other);
        second_above = minimum(minimum(second_above, last), maximum(above, first));
        above = minimum(above, first);
        second_below = maximum(maximum(second_below, first), minimum(below, last));
        below = maximum(below, last);
    }

    // From the price to where it has `ranks` less above it, one at most.
    Int16s step(Int16s ranks) const {
        const Int16s upper = ranks > 0 ? second_above : ranks == 0 ? above : below;
        const Int16s lower = ranks > 0 ? above : ranks == 0 ? below : second_below;
        return midpoint_rounded_up(upper ^ kLeast, lower ^ kLeast);
    }
};

template <int kW>
inline __attribute__((always_inline)) Nearest find_nearest(const std::int16_t* lines,
                                                           const std::int16_t* other_prices,
                                                           Int16s price, int first) {
    Nearest nearest;
    const auto origin = reinterpret_cast<Uint16s>(price ^ kLeast);
    [&]<std::size_t... pair>(std::index_sequence<pair...>) __attribute__((always_inline)) {
        const auto distance = [&](Int16s other, std::size_t k) __attribute__((always_inline)) {
            const Int16s value = load<Int16s>(lines + k * kStripColumns + first) - other;
            return reinterpret_cast<Int16s>(reinterpret_cast<Uint16s>(value) - origin);
        };
        (nearest.add(distance(broadcast<kW, 2 * pair>(other_prices, first), 2 * pair),
                     distance(broadcast<kW, 2 * pair + 1>(other_prices, first), 2 * pair + 1)),
         ...);
    }(std::make_index_sequence<kW / 2>{});
    return nearest;
}

// Where more prices than this are further from their place than so many ranks, sorting is quicker.
inline constexpr std::int16_t kNearRanks = 2;
inline constexpr int kMostFar = 4;

// Like sweep_side. Returns whether this kind of sweep is good enough to go on with: the answer
// would depend on neighbours if the strip held several tiles.
template <int kW>
inline bool sweep_side_near(const std::int16_t* lines, const std::int16_t* other_prices,
                            const std::int16_t* real_lanes, int n, Overshoot share,
                            std::int16_t* prices) {
    static_assert(kW == kStripColumns);
    int far = 0;
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        const Int16s old = load<Int16s>(prices + first);
        const Nearest nearest = find_nearest<kW>(lines, other_prices, old, first);
        Int16s ranks = nearest.count - static_cast<std::int16_t>(n);
        const Int16s step = clamp(nearest.step(ranks), kPriceBound);
        Int16s price = clamp(clamp(old + step, kPriceBound) + overshoot(step, share), kPriceBound);
        if (real_lanes != nullptr) {
            ranks &= load<Int16s>(real_lanes + first);
            price &= load<Int16s>(real_lanes + first);
        }
        far += popcount(bits_of(ranks > kNearRanks) | bits_of(-ranks > kNearRanks));
        store(prices + first, price);
    }
    return far <= kMostFar;
}

}  // namespace tnm::TNM_ISA
