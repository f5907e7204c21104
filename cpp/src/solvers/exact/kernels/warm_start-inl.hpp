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

using HalfInt32s = VectorOf<std::int32_t, kVectorBytes / 2>::type;
using QuarterInt16s = VectorOf<std::int16_t, kVectorBytes / 4>::type;

// Returns log2 of the lattice that all quantised scores lie on, or -1 if any was rounded. What
// lanes beyond the columns get are the first scores of the next row, or zeros.
inline int quantize(TileWork& work) {
    HalfInt32s all_bits{};
    Int64s rounded{};
    for (int i = 0; i < work.rows; ++i)
        for (int j = 0; j < work.columns; j += kLanes<Doubles>) {
            const Doubles exact = load<Doubles>(work.scores + i * work.columns + j) * kGrid;
            const auto value = __builtin_convertvector(exact, HalfInt32s);
            store(work.by_row + i * kMaxM + j, __builtin_convertvector(value, QuarterInt16s));
            rounded |= __builtin_convertvector(value, Doubles) != exact;
            all_bits |= value;
        }
    unsigned bits = 0;
    for (int lane = 0; lane < kLanes<HalfInt32s>; ++lane)
        bits |= static_cast<unsigned>(all_bits[lane]);
    return any_set(rounded) ? -1 : bits == 0 ? kFractionBits : __builtin_ctz(bits);
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

inline void start_from_column_means(Side& columns) {
    alignas(64) std::int32_t sums[kMaxM] = {};
    for (int i = 0; i < columns.others; ++i)
        for (int j = 0; j < columns.size; ++j) sums[j] += columns.line(i)[j];
    int total = 0;
    for (int j = 0; j < columns.size; ++j) total += sums[j] / columns.others;
    const int mean = total / columns.size;
    for (int j = 0; j < columns.size; ++j)
        columns.prices[j] = static_cast<std::int16_t>((sums[j] / columns.others - mean) / 2);
}

// ---- the n-th and the (n+1)-th largest of every lane ------------------------------

struct Neighbours {
    Int16s upper, lower;
};

// Where values are few.
inline constexpr int kMostSorted = 16;

// Moves the k + 1 largest to the front, in descending order.
template <class Vector>
inline void sort_largest(Vector* values, int count, int k) {
    for (int first = 0; first <= k; ++first)
        for (int j = first + 1; j < count; ++j) {
            const Vector low = minimum(values[first], values[j]);
            values[first] = maximum(values[first], values[j]);
            values[j] = low;
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

    // Those that a price between them would have `ranks` less above it than this one, one at most;
    // as distances.
    Neighbours neighbours(Int16s ranks) const {
        const Int16s upper = ranks > 0 ? second_above : ranks == 0 ? above : below;
        const Int16s lower = ranks > 0 ? above : ranks == 0 ? below : second_below;
        return {upper ^ kLeast, lower ^ kLeast};
    }
};

// Of a price in each lane; value(k) is the k-th of `count`.
template <class Value>
inline __attribute__((always_inline)) Nearest find_nearest(Int16s price, int count,
                                                           const Value& value) {
    const auto origin = reinterpret_cast<Uint16s>(price ^ Nearest::kLeast);
    Nearest nearest;
    for (int k = 0; k < count; ++k)
        nearest.add(reinterpret_cast<Int16s>(reinterpret_cast<Uint16s>(value(k)) - origin));
    return nearest;
}

// Bisects for a threshold with k values above it.
class Bisection {
  public:
    Bisection(const Int16s* values, int count, int k)
        : values_(values), count_(count), wanted_(splat<Int16s>(static_cast<std::int16_t>(k))) {
        least_ = largest_ = values[0];
        for (int j = 1; j < count; ++j) {
            least_ = minimum(least_, values[j]);
            largest_ = maximum(largest_, values[j]);
        }
        low_ = least_ - 1;
        high_ = largest_;
    }

    // 0 < k < count.
    Neighbours select() {
        // The last steps would take as long as all before.
        bisect(1);
        const Nearest nearest = find_nearest(high_ + 1, count_, [&](int j) { return values_[j]; });
        const Int16s ranks = nearest.count - wanted_;
        if (all_set((ranks <= 1) & (ranks >= -1))) {
            const Neighbours near = nearest.neighbours(ranks);
            return {moved(high_ + 1, near.upper), moved(high_ + 1, near.lower)};
        }
        bisect(0);
        return around_high();
    }

  private:
    // Until `tolerance` more or less are above high, or nothing is between low and high.
    void bisect(std::int16_t tolerance) {
        while (any_set((abs(above_ - wanted_) > tolerance) & are_apart())) {
            const Int16s threshold = midpoint_rounded_down(low_, high_);
            Int16s counted{};
            for (int j = 0; j < count_; ++j) counted -= values_[j] > threshold;
            const Int16s too_many = counted > wanted_;
            low_ = too_many ? threshold : low_;
            high_ = too_many ? high_ : threshold;
            above_ = too_many ? above_ : counted;
        }
    }
    static Int16s abs(Int16s vector) { return maximum(vector, -vector); }
    // Differences of 16-bit integers may take 16 bits themselves.
    Int16s are_apart() const {
        return reinterpret_cast<Int16s>(
            reinterpret_cast<Uint16s>(high_) - reinterpret_cast<Uint16s>(low_) > 1);
    }
    static Int16s moved(Int16s origin, Int16s distance) {
        return reinterpret_cast<Int16s>(reinterpret_cast<Uint16s>(origin) +
                                        reinterpret_cast<Uint16s>(distance));
    }

    // Lanes in which ties forbid k above end on the (k+1)-th largest value itself.
    Neighbours around_high() const {
        Int16s lower = least_, next = largest_, counted{};
        for (int j = 0; j < count_; ++j) {
            const Int16s is_above = values_[j] > high_;
            next = minimum(next, is_above ? values_[j] : largest_);
            lower = maximum(lower, is_above ? least_ : values_[j]);
            counted -= is_above;
        }
        // With fewer than k above, the k-th equals the (k+1)-th.
        return {counted == wanted_ ? next : lower, lower};
    }

    const Int16s* values_;
    const int count_;
    const Int16s wanted_;
    Int16s least_, largest_, low_, high_;  // more than k above low, at most k above high
    Int16s above_{};                       // how many are above high
};

inline Neighbours select_neighbours(const Side& side, const Side& other, int lane, int n) {
    Int16s values[kMaxM];
    for (int k = 0; k < side.others; ++k)
        values[k] = load<Int16s>(side.line(k) + lane) - splat<Int16s>(other.prices[k]);
    if (side.others > kMostSorted) return Bisection(values, side.others, n).select();
    sort_largest(values, side.others, n);
    return {values[n - 1], values[n]};
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

inline std::uint64_t first_lanes(int count) {
    return count >= kLanes<Int16s> ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// Where more than half of the prices are further from their place than so many ranks, other sweeps
// are better.
inline constexpr std::int16_t kNearRanks = 2;

// Moves prices by one rank at most, without looking for the n-th. Returns whether that is enough.
inline bool sweep_nearby(Side& side, const Side& other, const Descent& descent, int eighths) {
    int far = 0;
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        const Int16s old = load<Int16s>(side.prices + lane);
        const Nearest nearest = find_nearest(old, side.others, [&](int k) {
            return load<Int16s>(side.line(k) + lane) - splat<Int16s>(other.prices[k]);
        });
        const Int16s ranks = nearest.count - static_cast<std::int16_t>(descent.n);
        const Neighbours near = nearest.neighbours(ranks);
        const Int16s step = clamp(midpoint_rounded_up(near.upper, near.lower), kBound);
        const Int16s price =
            bounded(clamp(old + step, kBound) + overshoot(step, eighths), descent.exact);
        store(side.prices + lane, price);
        Int16s too_few = ranks < -kNearRanks;
        // At a price of zero there may be as few as there are.
        if (!descent.exact) too_few &= price != 0;
        const std::uint64_t is_far = bits_of(ranks > kNearRanks) | bits_of(too_few);
        far += __builtin_popcountll(is_far & first_lanes(side.size - lane));
    }
    return far <= side.size / 2;
}

// The n-th largest itself, so that what ties with it costs exactly its prices.
inline void sweep_to_nth(Side& side, const Side& other, const Descent& descent, int lattice) {
    const auto bound = static_cast<std::int16_t>(kBound >> lattice << lattice);
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        const Int16s price = clamp(select_neighbours(side, other, lane, descent.n).upper, bound);
        store(side.prices + lane, bounded(price, descent.exact));
    }
}

// How many entries exceed their prices if those of `shifted` rise by `shift`, at most n of a line
// of the other side.
inline int count_kept(const Side& side, const Side& shifted, int n, int shift) {
    alignas(64) std::int16_t counts[kMaxM];
    for (int lane = 0; lane < side.size; lane += kLanes<Int16s>) {
        Int16s counted{};
        for (int k = 0; k < side.others; ++k)
            counted -= load<Int16s>(side.line(k) + lane) >
                       splat<Int16s>(static_cast<std::int16_t>(shifted.prices[k] + shift));
        store(counts + lane, minimum(counted, splat<Int16s>(static_cast<std::int16_t>(n))));
    }
    int total = 0;
    for (int k = 0; k < side.size; ++k) total += counts[k];
    return total;
}

// On tiles of "at most n": lines of the longer side need not be full, so the prices of the shorter
// one are what decides how many entries are kept in all. Sweeps alone would move that level slowly.
inline void find_level(Side& shorter, const Side& longer, int n) {
    int low = kBound, high = kBound;
    for (int k = 0; k < shorter.size; ++k) low = shorter.prices[k] < low ? shorter.prices[k] : low;
    low = -low - 1;
    while (high - low > 1) {
        const int shift = (high + low) >> 1;
        if (count_kept(longer, shorter, n, shift) > n * shorter.size)
            low = shift;
        else
            high = shift;
    }
    for (int k = 0; k < shorter.size; ++k) {
        const int price = shorter.prices[k] + high;
        shorter.prices[k] = static_cast<std::int16_t>(price < kBound ? price : kBound);
    }
}

// More sweeps leave less to the augmenting paths, whose cost grows faster with the size of the
// tile. Measured, as all that follows.
inline int count_sweeps(int size) {
    return size <= 4 ? 3 : size <= 8 ? 5 : size <= 16 ? 6 : size <= 32 ? 8 : 10;
}

inline void descend(Descent& descent, int lattice) {
    constexpr int kEighths[] = {0, 2, 3, 3, 4}, kSortingSweeps = 2, kMostWithoutLevel = 8;
    Side &rows = descent.rows, &columns = descent.columns;
    // Where a line is not longer than n there is nothing to choose, and the price stays zero.
    const bool rows_choose = descent.n < rows.others, columns_choose = descent.n < columns.others;
    const bool both_choose = rows_choose && columns_choose;
    const int longer = rows.size > columns.size ? rows.size : columns.size;
    const bool needs_level = !descent.exact && both_choose && longer > kMostWithoutLevel;
    if (descent.exact || needs_level) start_from_column_means(columns);
    bool near_enough = true;
    const auto sweep_side = [&](Side& side, const Side& other, int sweep, int eighths) {
        if (sweep >= kSortingSweeps && near_enough && side.others > kMostSorted)
            near_enough = sweep_nearby(side, other, descent, eighths);
        else
            sweep_by_rank(side, other, descent, eighths);
    };
    const int sweeps = both_choose ? count_sweeps(longer) : 1;
    for (int sweep = 0; sweep < sweeps; ++sweep) {
        const int eighths = sweep + 1 == sweeps ? 0 : kEighths[sweep < 4 ? sweep : 4];
        const bool finds_level = needs_level && sweep == 0;
        if (finds_level && longer > columns.size) find_level(columns, rows, descent.n);
        if (rows_choose) sweep_side(rows, columns, sweep, eighths);
        if (finds_level && longer == columns.size) find_level(rows, columns, descent.n);
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
    descend(descent, lattice);
    for (int i = 0; i < work.rows; ++i) work.row_prices[i] = descent.rows.prices[i] / kGrid;
    for (int j = 0; j < work.columns; ++j)
        work.column_prices[j] = descent.columns.prices[j] / kGrid;
}

}  // namespace tnm::TNM_ISA::tile
