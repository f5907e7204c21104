#include "solvers/exact/warm_start.hpp"

#include <algorithm>
#include <array>
#include <bit>

#define TNM_ISA baseline
#include "simd/vectors-inl.hpp"

namespace tnm {
namespace {

using namespace baseline;

constexpr int kFractionBits = 14;
constexpr double kGrid = 1 << kFractionBits;
constexpr std::int16_t kBound = (1 << kFractionBits) - 1;

// Steps of over-relaxation, one per sweep over rows and columns: how far beyond the midpoint to go.
constexpr int kSweeps = 6;
Int16x8 overshoot(Int16x8 step, int relaxation) {
    switch (relaxation) {
        case 1:
            return step >> 3;
        case 2:
            return (step >> 3) + (step >> 4);
        case 3:
            return (step >> 2) + (step >> 4);
        case 4:
            return (step >> 2) + (step >> 3);
        default:
            return Int16x8{};
    }
}

int padded(int size) {
    return (size + kLanes<Int16x8> - 1) / kLanes<Int16x8> * kLanes<Int16x8>;
}

// The k-th and (k+1)-th largest of each lane.
struct Neighbours {
    Int16x8 upper, lower;
};

// Bisects for a threshold with exactly k values above it (0 < k < count); lanes in which ties
// forbid that end on the (k+1)-th largest value itself.
Neighbours select_neighbours(const Int16x8* values, int count, int k) {
    Int16x8 least = values[0], largest = values[0];
    for (int j = 1; j < count; ++j) {
        least = minimum(least, values[j]);
        largest = maximum(largest, values[j]);
    }
    const Int16x8 wanted = splat<Int16x8>(static_cast<std::int16_t>(k));
    Int16x8 low = least - 1, high = largest;  // more than k above low, at most k above high
    Int16x8 above{};
    for (;;) {
        const Int16x8 threshold = midpoint_rounded_down(low, high);
        Int16x8 counted{};
        for (int j = 0; j < count; ++j) counted -= values[j] > threshold;
        const Int16x8 too_many = counted > wanted;
        low = too_many ? threshold : low;
        high = too_many ? high : threshold;
        above = too_many ? above : counted;
        if (all_set((above == wanted) | (high - low <= 1))) break;
    }
    Int16x8 lower = least, next = largest;
    for (int j = 0; j < count; ++j) {
        const Int16x8 is_above = values[j] > high;
        next = minimum(next, is_above ? values[j] : largest);
        lower = maximum(lower, is_above ? least : values[j]);
    }
    // A bisection that ended by ties has fewer than k above: the k-th equals the (k+1)-th.
    Int16x8 counted{};
    for (int j = 0; j < count; ++j) counted -= values[j] > high;
    return {counted == wanted ? next : lower, lower};
}

}  // namespace

void WarmStart::quantize(const ScaledTile& tile) {
    rows_.size = tile.rows();
    columns_.size = tile.columns();
    rows_.lanes = padded(rows_.size);
    columns_.lanes = padded(columns_.size);
    rows_.values.assign(static_cast<std::size_t>(columns_.size) * rows_.lanes, 0);
    columns_.values.assign(static_cast<std::size_t>(rows_.size) * columns_.lanes, 0);
    rows_.prices.assign(rows_.lanes, 0);
    columns_.prices.assign(columns_.lanes, 0);

    bool rounded = false;
    unsigned bits = 0;
    for (int i = 0; i < rows_.size; ++i) {
        const double* source = tile.row(i);
        std::int16_t* target = columns_.line(i);
        for (int j = 0; j < columns_.size; ++j) {
            const double exact = source[j] * kGrid;
            const int value = static_cast<int>(exact);
            target[j] = static_cast<std::int16_t>(value);
            rounded |= static_cast<double>(value) != exact;
            bits |= static_cast<unsigned>(value);
        }
    }
    for (int j = 0; j < columns_.size; ++j) {
        const std::int16_t* source = columns_.values.data() + j;
        std::int16_t* target = rows_.line(j);
        for (int i = 0; i < rows_.size; ++i)
            target[i] = source[static_cast<std::ptrdiff_t>(i) * columns_.lanes];
    }
    lattice_ = rounded ? -1 : bits == 0 ? kFractionBits : std::countr_zero(bits);
}

void WarmStart::start_from_column_means() {
    int total = 0;
    std::array<int, kMaxM> sums{};
    for (int i = 0; i < rows_.size; ++i) {
        const std::int16_t* line = columns_.line(i);
        for (int j = 0; j < columns_.size; ++j) sums[j] += line[j];
    }
    for (int j = 0; j < columns_.size; ++j) total += sums[j] / rows_.size;
    const int mean = total / columns_.size;
    for (int j = 0; j < columns_.size; ++j)
        columns_.prices[j] = static_cast<std::int16_t>((sums[j] / rows_.size - mean) / 2);
}

// Sets prices to choose(n-th and (n + 1)-th largest of their line, price so far).
template <class Choose>
void WarmStart::update(Side& side, const Side& other, const Choose& choose) {
    if (n_ >= other.size) return;  // only on edge tiles: nothing to choose, the price stays zero
    Int16x8 values[kMaxM];
    for (int lane = 0; lane < side.lanes; lane += kLanes<Int16x8>) {
        for (int j = 0; j < other.size; ++j)
            values[j] = load<Int16x8>(side.line(j) + lane) - splat<Int16x8>(other.prices[j]);
        std::int16_t* prices = side.prices.data() + lane;
        Int16x8 price = choose(select_neighbours(values, other.size, n_), load<Int16x8>(prices));
        if (!exact_) price = maximum(price, Int16x8{});
        store(prices, price);
    }
}

void WarmStart::update_midpoints(Side& side, const Side& other, int relaxation) {
    update(side, other, [&](const Neighbours& nth, Int16x8 price) {
        const Int16x8 target = clamp(midpoint_rounded_down(nth.upper, nth.lower), kBound);
        return clamp(target + overshoot(target - price, relaxation), kBound);
    });
}

void WarmStart::update_to_nth(Side& side, const Side& other) {
    const std::int16_t bound = on_lattice(kBound);
    update(side, other, [&](const Neighbours& nth, Int16x8) { return clamp(nth.upper, bound); });
}

void WarmStart::propose(const ScaledTile& tile, TilePrices& prices) {
    n_ = tile.n();
    exact_ = tile.exact();
    quantize(tile);
    start_from_column_means();
    if (!exact_) std::fill(columns_.prices.begin(), columns_.prices.end(), std::int16_t{0});
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        const int relaxation = sweep + 1 < kSweeps ? sweep : 0;
        update_midpoints(rows_, columns_, relaxation);
        update_midpoints(columns_, rows_, relaxation);
    }
    if (lattice_ > 0) {
        for (std::int16_t& price : columns_.prices) price = on_lattice(price);
        update_to_nth(rows_, columns_);
        update_to_nth(columns_, rows_);
    }
    for (int i = 0; i < rows_.size; ++i) prices.row[i] = rows_.prices[i] / kGrid;
    for (int j = 0; j < columns_.size; ++j) prices.column[j] = columns_.prices[j] / kGrid;
}

}  // namespace tnm
