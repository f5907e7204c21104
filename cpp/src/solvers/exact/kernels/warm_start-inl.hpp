// Dual prices to start from, by coordinate descent.
//
// Given column prices v, the dual objective is smallest in u_i anywhere between the n-th and the
// (n+1)-th largest of s_ij - v_j; the midpoint is taken, then columns and rows change places
// (Hubara et al. 2021 state the program; the descent is exact in each block of coordinates).
// The descent runs on 16-bit integers. It only proposes prices: whatever it rounds away, the
// augmenting paths that follow put right.
#pragma once

#include "simd/transpose-inl.hpp"
#include "simd/vectors-inl.hpp"
#include "solvers/exact/tile_kernels.hpp"

namespace tnm::TNM_ISA::tile {

inline constexpr int kFractionBits = 14;
inline constexpr double kGrid = 1 << kFractionBits;
inline constexpr std::int16_t kBound = (1 << kFractionBits) - 1;

// One side's prices, and one line of its lanes for each of the `others`.
struct Side {
    const std::int16_t* lines;
    int size, others;
    std::int16_t prices[kMaxM];

    const std::int16_t* line(int k) const { return lines + k * kMaxM; }
};

struct Descent {
    int n;
    bool exact;
    Side rows, columns;
};

// ---- from scores to integers -----------------------------------------------------

// Returns log2 of the lattice that all quantised scores lie on, or -1 if any was rounded.
inline int quantize(TileWork& work) {
    double error = 0.0;
    unsigned bits = 0;
    for (int i = 0; i < work.rows; ++i) {
        const double* source = work.scores + i * work.columns;
        std::int16_t* target = work.by_row + i * kMaxM;
        for (int j = 0; j < work.columns; ++j) {
            const double exact = source[j] * kGrid;
            const int value = static_cast<int>(exact);
            target[j] = static_cast<std::int16_t>(value);
            const double rest = exact - value;
            error = error > rest ? error : rest;
            error = error > -rest ? error : -rest;
            bits |= static_cast<unsigned>(value);
        }
    }
    return error > 0.0 ? -1 : bits == 0 ? kFractionBits : __builtin_ctz(bits);
}

inline void transpose_scores(TileWork& work) {
    constexpr int kStep = kLanes<Int16s>;
    for (int i = 0; i < work.rows; i += kStep)
        for (int j = 0; j < work.columns; j += kStep) {
            Int16s lines[kStep];
            for (int k = 0; k < kStep; ++k)
                lines[k] = load<Int16s>(work.by_row + (i + k) * kMaxM + j);
            transpose_lines(lines);
            for (int k = 0; k < kStep; ++k) store(work.by_column + (j + k) * kMaxM + i, lines[k]);
        }
}

inline void start_from_column_means(const Side& columns, std::int16_t* prices) {
    alignas(64) std::int32_t sums[kMaxM] = {};
    for (int i = 0; i < columns.others; ++i)
        for (int j = 0; j < columns.size; ++j) sums[j] += columns.line(i)[j];
    int total = 0;
    for (int j = 0; j < columns.size; ++j) total += sums[j] / columns.others;
    const int mean = total / columns.size;
    for (int j = 0; j < columns.size; ++j)
        prices[j] = static_cast<std::int16_t>((sums[j] / columns.others - mean) / 2);
}

// ---- the n-th and the (n+1)-th largest of every lane ------------------------------

struct Neighbours {
    Int16s upper, lower;
};

// Destroys `values`.
inline Neighbours select_by_sorting(Int16s* values, int count, int k) {
    for (int first = 0; first <= k; ++first)
        for (int j = first + 1; j < count; ++j) {
            const Int16s low = minimum(values[first], values[j]);
            values[first] = maximum(values[first], values[j]);
            values[j] = low;
        }
    return {values[k - 1], values[k]};
}

// Bisects for a threshold with exactly k values above it (0 < k < count); lanes in which ties
// forbid that end on the (k+1)-th largest value itself.
inline Neighbours select_by_bisection(const Int16s* values, int count, int k) {
    Int16s least = values[0], largest = values[0];
    for (int j = 1; j < count; ++j) {
        least = minimum(least, values[j]);
        largest = maximum(largest, values[j]);
    }
    const Int16s wanted = splat<Int16s>(static_cast<std::int16_t>(k));
    Int16s low = least - 1, high = largest;  // more than k above low, at most k above high
    Int16s above{};
    for (;;) {
        const Int16s threshold = midpoint_rounded_down(low, high);
        Int16s counted{};
        for (int j = 0; j < count; ++j) counted -= values[j] > threshold;
        const Int16s too_many = counted > wanted;
        low = too_many ? threshold : low;
        high = too_many ? high : threshold;
        above = too_many ? above : counted;
        if (all_set((above == wanted) | (high - low <= 1))) break;
    }
    Int16s lower = least, next = largest;
    for (int j = 0; j < count; ++j) {
        const Int16s is_above = values[j] > high;
        next = minimum(next, is_above ? values[j] : largest);
        lower = maximum(lower, is_above ? least : values[j]);
    }
    // A bisection that ended by ties has fewer than k above: the k-th equals the (k+1)-th.
    Int16s counted{};
    for (int j = 0; j < count; ++j) counted -= values[j] > high;
    return {counted == wanted ? next : lower, lower};
}

inline constexpr int kMostSorted = 16;

inline Neighbours select_neighbours(const Side& side, const Side& other, int lane, int n) {
    Int16s values[kMaxM];
    for (int k = 0; k < side.others; ++k)
        values[k] = load<Int16s>(side.line(k) + lane) - splat<Int16s>(other.prices[k]);
    return side.others <= kMostSorted ? select_by_sorting(values, side.others, n)
                                      : select_by_bisection(values, side.others, n);
}

// ---- sweeps ------------------------------------------------------------------------

// How far beyond the midpoint to go, in eighths of the step.
inline Int16s overshoot(Int16s step, int eighths) {
    switch (eighths) {
        case 0:
            return Int16s{};
        case 2:
            return step >> 2;
        case 3:
            return (step >> 2) + (step >> 3);
        default:
            return step >> 1;
    }
}

inline Int16s bounded(Int16s price, bool exact) {
    price = clamp(price, kBound);
    return exact ? price : maximum(price, Int16s{});
}

inline void sweep_by_rank(Side& side, const Side& other, const Descent& descent, int eighths) {
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        const Neighbours nth = select_neighbours(side, other, lane, descent.n);
        const Int16s target = clamp(midpoint_rounded_down(nth.upper, nth.lower), kBound);
        const Int16s step = target - load<Int16s>(side.prices + lane);
        store(side.prices + lane, bounded(target + overshoot(step, eighths), descent.exact));
    }
}

// Distances from a price, kept as unsigned numbers with the sign bit flipped: those above the price
// come first, nearest first, and those below come last, nearest last.
struct Nearest {
    static constexpr std::int16_t kLeast = -0x8000, kMost = 0x7fff;
    Int16s above = splat<Int16s>(kMost), second_above = above;
    Int16s below = splat<Int16s>(kLeast), second_below = below;
    Int16s count{};  // not below the price

    inline __attribute__((always_inline)) void add(Int16s distance) {
        count -= distance < 0;
        second_above = minimum(second_above, maximum(above, distance));
        above = minimum(above, distance);
        second_below = maximum(second_below, minimum(below, distance));
        below = maximum(below, distance);
    }

    // From the price to where it has `ranks` less above it, one at most.
    Int16s step(Int16s ranks) const {
        const Int16s upper = ranks > 0 ? second_above : ranks == 0 ? above : below;
        const Int16s lower = ranks > 0 ? above : ranks == 0 ? below : second_below;
        return midpoint_rounded_up(upper ^ kLeast, lower ^ kLeast);
    }
};

// Where more than one in 16 prices is further from its place than so many ranks, others sweeps are
// better.
inline constexpr std::int16_t kNearRanks = 2;

// Moves prices by one rank at most, without looking for the n-th. Returns whether that is enough.
inline bool sweep_nearby(Side& side, const Side& other, const Descent& descent, int eighths) {
    int far = 0;
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        const Int16s old = load<Int16s>(side.prices + lane);
        const auto origin = reinterpret_cast<Uint16s>(old ^ Nearest::kLeast);
        Nearest nearest;
        for (int k = 0; k < side.others; ++k) {
            const Int16s value = load<Int16s>(side.line(k) + lane) - splat<Int16s>(other.prices[k]);
            nearest.add(reinterpret_cast<Int16s>(reinterpret_cast<Uint16s>(value) - origin));
        }
        const Int16s ranks = nearest.count - static_cast<std::int16_t>(descent.n);
        const Int16s step = clamp(nearest.step(ranks), kBound);
        const Int16s price = clamp(old + step, kBound) + overshoot(step, eighths);
        const std::uint64_t real = side.size - lane >= kLanes<Int16s>
                                       ? ~std::uint64_t{0}
                                       : (std::uint64_t{1} << (side.size - lane)) - 1;
        far += __builtin_popcountll((bits_of(ranks > kNearRanks) | bits_of(-ranks > kNearRanks)) &
                                    real);
        store(side.prices + lane, bounded(price, descent.exact));
    }
    return far <= side.size / 16;
}

// The n-th largest itself, so that what ties with it costs exactly its prices.
inline void sweep_to_nth(Side& side, const Side& other, const Descent& descent, int lattice) {
    const auto bound = static_cast<std::int16_t>(kBound >> lattice << lattice);
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        const Int16s price = clamp(select_neighbours(side, other, lane, descent.n).upper, bound);
        store(side.prices + lane, bounded(price, descent.exact));
    }
}

// More sweeps leave less to the augmenting paths, whose cost grows faster with the size of the
// tile.
inline int count_sweeps(int size) {
    return size <= 4 ? 3 : size <= 8 ? 5 : size <= 16 ? 6 : size <= 32 ? 8 : 10;
}

inline void descend(Descent& descent, int lattice) {
    constexpr int kEighths[] = {0, 2, 3, 3, 4};
    Side &rows = descent.rows, &columns = descent.columns;
    // Where a line is not longer than n there is nothing to choose, and the price stays zero.
    const bool rows_choose = descent.n < rows.others, columns_choose = descent.n < columns.others;
    const int sweeps = rows_choose && columns_choose
                           ? count_sweeps(rows.size > columns.size ? rows.size : columns.size)
                           : 1;
    bool near_enough = true;
    const auto sweep_side = [&](Side& side, const Side& other, int sweep, int eighths) {
        if (sweep >= 3 && near_enough && side.others > kMostSorted)
            near_enough = sweep_nearby(side, other, descent, eighths);
        else
            sweep_by_rank(side, other, descent, eighths);
    };
    for (int sweep = 0; sweep < sweeps; ++sweep) {
        const int eighths = sweep + 1 == sweeps ? 0 : kEighths[sweep < 4 ? sweep : 4];
        if (rows_choose) sweep_side(rows, columns, sweep, eighths);
        if (columns_choose) sweep_side(columns, rows, sweep, eighths);
    }
    if (lattice <= 0) return;
    for (int j = 0; j < columns.size; ++j)
        columns.prices[j] = static_cast<std::int16_t>(columns.prices[j] >> lattice << lattice);
    if (rows_choose) sweep_to_nth(rows, columns, descent, lattice);
    if (columns_choose) sweep_to_nth(columns, rows, descent, lattice);
}

inline void propose_prices(TileWork& work) {
    Descent descent{work.n,
                    work.exact,
                    {work.by_column, work.rows, work.columns, {}},
                    {work.by_row, work.columns, work.rows, {}}};
    const int lattice = quantize(work);
    transpose_scores(work);
    if (work.exact) start_from_column_means(descent.columns, descent.columns.prices);
    descend(descent, lattice);
    for (int i = 0; i < work.rows; ++i) work.row_prices[i] = descent.rows.prices[i] / kGrid;
    for (int j = 0; j < work.columns; ++j)
        work.column_prices[j] = descent.columns.prices[j] / kGrid;
}

}  // namespace tnm::TNM_ISA::tile
