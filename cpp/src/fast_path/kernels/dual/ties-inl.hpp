// Tiles with many equal scores: zeros, small integers, constants.
//
// There half of the entries may cost exactly their two prices ("tight"), the threshold keeps none
// of them, and one augmenting path for each would take for ever. So prices are put on a lattice on
// which ties stay exact, tight entries are read off as bits, rows take them greedily, and bit-set
// searches over tight entries mend most of what is left. Nothing here moves a price: complementary
// slackness holds throughout, and what remains missing is left to shortest augmenting paths.
#pragma once

#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/threshold-inl.hpp"

namespace tnm::TNM_ISA {

// Bit c of exact[i] is set if entry (i, c) lost nothing to rounding and clamping.
template <int kW, class T>
inline void find_exact_entries(const T* scores, const QuantizedStrip& strip, std::uint64_t* exact) {
    using Vector = typename ScoreTraits<T>::Vector;
    alignas(64) T unit[kStripColumns], restored[kStripColumns];
    for (int c = 0; c < kStripColumns; ++c) unit[c] = static_cast<T>(strip.unit[c]);
    for (int i = 0; i < kW; ++i) {
        const std::int16_t* quantized = strip.by_row + i * kStripColumns;
        for (int c = 0; c < kStripColumns; ++c)
            restored[c] = static_cast<T>(quantized[c]) * unit[c];
        exact[i] = 0;
        for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
            const Vector score = load<Vector>(scores + i * kStripColumns + c);
            exact[i] |= bits_of(score == load<Vector>(restored + c)) << c;
        }
    }
}

// For every lane the bits that prices on its tile's lattice may have: if no entry of the tile was
// rounded, the lattice is the largest power of two that divides all of them.
template <int kW>
inline void find_lattices(const QuantizedStrip& strip, const std::uint64_t* exact, int m,
                          std::int16_t* price_bits) {
    alignas(64) std::int16_t lane_bits[kStripColumns] = {};
    std::uint64_t exact_lanes = ~std::uint64_t{0};
    for (int i = 0; i < kW && i < m; ++i) {
        exact_lanes &= exact[i];
        for (int c = 0; c < kStripColumns; ++c)
            lane_bits[c] =
                static_cast<std::int16_t>(lane_bits[c] | strip.by_row[i * kStripColumns + c]);
    }
    for (int tile = 0; tile < kStripColumns; tile += kW) {
        unsigned bits = 0;
        const std::uint64_t all_exact = exact_lanes >> tile;
        for (int j = 0; j < m; ++j) bits |= static_cast<std::uint16_t>(lane_bits[tile + j]);
        const std::uint64_t entries = ~std::uint64_t{0} >> (64 - m);
        int lattice = -1;  // all bits
        if ((all_exact & entries) == entries)
            lattice = bits == 0 ? 0 : -static_cast<int>(bits & (~bits + 1));
        for (int lane = 0; lane < kW; ++lane)
            price_bits[tile + lane] = static_cast<std::int16_t>(lattice);
    }
}

// Bit g is set if the prices of tile g are on a lattice coarser than the integers.
template <int kW>
inline std::uint64_t tiles_on_lattice(const std::int16_t* price_bits) {
    std::uint64_t tiles = 0;
    for (int first = 0; first < kStripColumns; first += kW)
        tiles |= static_cast<std::uint64_t>(price_bits[first] != -1) << (first / kW);
    return tiles;
}

// The n-th largest itself, so that what ties with it is tight.
template <int kW>
inline void sweep_side_to_nth(const std::int16_t* lines, const std::int16_t* other_prices,
                              const std::int16_t* real_lanes, const std::int16_t* price_bits, int n,
                              std::int16_t* prices) {
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        Int16s values[kW];
        subtract_prices<kW>(lines, other_prices, first, values);
        const Int16s nth = select_neighbours<kW>(values, n).upper;
        const Int16s bound = splat<Int16s>(kPriceBound) & load<Int16s>(price_bits + first);
        Int16s price = maximum(minimum(nth, bound), -bound);
        if (real_lanes != nullptr) price &= load<Int16s>(real_lanes + first);
        store(prices + first, price);
    }
}

inline bool sums_may_be_clamped(const StripPrices& prices) {
    int row = 0, column = 0;
    for (int c = 0; c < kStripColumns; ++c) {
        const int r = prices.rows[c] < 0 ? -prices.rows[c] : prices.rows[c];
        const int k = prices.columns[c] < 0 ? -prices.columns[c] : prices.columns[c];
        row = r > row ? r : row;
        column = k > column ? k : column;
    }
    return row + column > kPriceBound;
}

// A sum of prices that had to be clamped is not what the entry was compared with.
template <int kW>
inline void forget_clamped(const StripPrices& prices, std::uint64_t* tight) {
    for (int c = 0; c < kStripColumns; ++c)
        for (int i = 0; i < kW; ++i) {
            const int price = prices.rows[c / kW * kW + i] + prices.columns[c];
            const bool clamped = price > kPriceBound || price < -kPriceBound;
            tight[i] &= ~(static_cast<std::uint64_t>(clamped) << c);
        }
}

// Like threshold(), but entries that cost exactly their prices end up in result.undecided.
template <int kW, class T>
inline void threshold_with_ties(const T* scores, const QuantizedStrip& strip,
                                const StripPrices& prices, const std::uint64_t* exact,
                                ThresholdedStrip& result) {
    compare_int16<kW>(strip, prices, result);
    std::uint64_t tight[kW];
    for (int i = 0; i < kW; ++i) tight[i] = result.undecided[i] & exact[i];
    if (sums_may_be_clamped(prices)) forget_clamped<kW>(prices, tight);
    for (int i = 0; i < kW; ++i) result.undecided[i] &= ~tight[i];
    decide_exactly<kW>(scores, strip, prices, result);
    for (int i = 0; i < kW; ++i) result.undecided[i] = tight[i];
}

// How many units each column still needs, as bit planes: all columns at once in each operation.
template <int kW>
class ColumnNeeds {
  public:
    void set(int column, int units) {
        for (int p = 0; p < kPlanes; ++p)
            planes_[p] |= static_cast<std::uint64_t>(units >> p & 1) << column;
    }
    std::uint64_t any() const {
        std::uint64_t columns = 0;
        for (const std::uint64_t plane : planes_) columns |= plane;
        return columns;
    }
    int units(int column) const {
        int units = 0;
        for (int p = 0; p < kPlanes; ++p) units |= static_cast<int>(planes_[p] >> column & 1) << p;
        return units;
    }
    void take(std::uint64_t columns) {
        for (std::uint64_t& plane : planes_) {
            const std::uint64_t before = plane;
            plane ^= columns;
            columns &= ~before;
        }
    }
    // The `count` neediest of `candidates`; of equally needy ones the lowest.
    std::uint64_t neediest(std::uint64_t candidates, int count) const {
        std::uint64_t chosen = 0;
        int left = count;
        for (int p = kPlanes - 1; p >= 0; --p) {
            const std::uint64_t needier = candidates & planes_[p];
            const int size = popcount(needier);
            if (size <= left) {
                chosen |= needier;
                left -= size;
                candidates &= ~needier;
            } else {
                candidates = needier;
            }
        }
        for (; left > 0 && candidates != 0; --left) {
            chosen |= candidates & (~candidates + 1);
            candidates &= candidates - 1;
        }
        return chosen;
    }

  private:
    // Up to kW units.
    static constexpr int kPlanes = kW == 4 ? 3 : kW == 8 ? 4 : kW == 16 ? 5 : kW == 32 ? 6 : 7;
    std::uint64_t planes_[kPlanes] = {};
};

// Fills one tile over tight entries. Bit j of a row's word is column j.
template <int kW>
class TightFill {
  public:
    void set_row(int i, std::uint64_t kept, std::uint64_t tight, int need) {
        kept_[i] = kept;
        tight_[i] = tight;
        need_[i] = need;
    }
    void set_column_need(int j, int units) {
        if (units > 0) needs_.set(j, units);
    }

    void run(int m) {
        for (int j = 0; j < m; ++j) taken_[j] = 0;
        for (int i = 0; i < m; ++i) fill_greedily(i);
        for (int i = 0; i < m; ++i)
            while (need_[i] > 0 && augment_from(i)) --need_[i];
    }

    std::uint64_t kept(int i) const { return kept_[i]; }
    int column_need(int j) const { return needs_.units(j); }

  private:
    void fill_greedily(int i) {
        const std::uint64_t candidates = tight_[i] & needs_.any();
        if (need_[i] <= 0 || candidates == 0) return;
        const std::uint64_t chosen = needs_.neediest(candidates, need_[i]);
        needs_.take(chosen);
        kept_[i] |= chosen;
        need_[i] -= popcount(chosen);
        for (std::uint64_t rest = chosen; rest != 0; rest &= rest - 1)
            taken_[__builtin_ctzll(rest)] |= std::uint64_t{1} << i;
    }

    // Breadth-first: rows reach columns over tight entries that are dropped, columns reach rows
    // over tight entries that are kept. Sends one unit from row `source` to a column in need.
    bool augment_from(int source) {
        const std::uint64_t wanted = needs_.any();
        std::uint64_t seen_columns = 0, seen_rows = std::uint64_t{1} << source;
        int queue[kW], from_row[kW], from_column[kW];
        int head = 0, tail = 0;
        queue[tail++] = source;
        while (head < tail) {
            const int i = queue[head++];
            std::uint64_t columns = tight_[i] & ~kept_[i] & ~seen_columns;
            seen_columns |= columns;
            if (const std::uint64_t found = columns & wanted; found != 0) {
                flip_path(i, __builtin_ctzll(found), from_row, from_column, source);
                return true;
            }
            for (; columns != 0; columns &= columns - 1) {
                const int j = __builtin_ctzll(columns);
                from_row[j] = i;
                std::uint64_t rows = taken_[j] & ~seen_rows;
                seen_rows |= rows;
                for (; rows != 0; rows &= rows - 1) {
                    const int next = __builtin_ctzll(rows);
                    from_column[next] = j;
                    queue[tail++] = next;
                }
            }
        }
        return false;
    }

    void flip_path(int row, int column, const int* from_row, const int* from_column, int source) {
        needs_.take(std::uint64_t{1} << column);
        for (;;) {
            kept_[row] |= std::uint64_t{1} << column;
            taken_[column] |= std::uint64_t{1} << row;
            if (row == source) return;
            const int given_up = from_column[row];
            kept_[row] &= ~(std::uint64_t{1} << given_up);
            taken_[given_up] &= ~(std::uint64_t{1} << row);
            column = given_up;
            row = from_row[column];
        }
    }

    std::uint64_t kept_[kW], tight_[kW];
    std::uint64_t taken_[kW];  // per column: rows that keep it over a tight entry
    int need_[kW];
    ColumnNeeds<kW> needs_;
};

}  // namespace tnm::TNM_ISA
