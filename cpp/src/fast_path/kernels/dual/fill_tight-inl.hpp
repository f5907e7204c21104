// Filling tiles over tight entries, of which any may be kept.
#pragma once

#include "fast_path/kernels/dual/fill_rows-inl.hpp"

namespace tnm::TNM_ISA {

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

// Fills one tile over tight entries: rows take them greedily, of the neediest columns, and searches
// mend most of what is left. Bit j of a row's word is column j.
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

    // That entry (i, j), which is tight, was taken before.
    void set_taken(int i, std::uint64_t columns) {
        for (; columns != 0; columns &= columns - 1)
            taken_[__builtin_ctzll(columns)] |= std::uint64_t{1} << i;
    }

    void fill_greedily(int m) {
        for (int i = 0; i < m; ++i) fill_row(i);
    }
    void augment(int m) {
        for (int i = 0; i < m; ++i)
            while (need_[i] > 0 && augment_from(i)) --need_[i];
    }

    std::uint64_t kept(int i) const { return kept_[i]; }
    int column_need(int j) const { return needs_.units(j); }

  private:
    void fill_row(int i) {
        const std::uint64_t candidates = tight_[i] & needs_.any();
        if (need_[i] <= 0 || candidates == 0) return;
        const std::uint64_t chosen = needs_.neediest(candidates, need_[i]);
        needs_.take(chosen);
        kept_[i] |= chosen;
        need_[i] -= popcount(chosen);
        set_taken(i, chosen);
    }

    // Breadth-first: rows reach columns over tight entries that are dropped, columns reach rows
    // over tight entries that are kept. Sends one unit from row `source` to a column in need. What
    // a search in vain has seen leads nowhere, also for the searches after it.
    bool augment_from(int source) {
        if ((dead_rows_ >> source & 1) != 0) return false;
        const std::uint64_t wanted = needs_.any();
        std::uint64_t seen_columns = dead_columns_;
        std::uint64_t seen_rows = dead_rows_ | std::uint64_t{1} << source;
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
        dead_rows_ = seen_rows;
        dead_columns_ = seen_columns;
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
    std::uint64_t taken_[kW] = {};  // per column: rows that keep it over a tight entry
    std::uint64_t dead_rows_ = 0, dead_columns_ = 0;
    int need_[kW];
    ColumnNeeds<kW> needs_;
};

// Of the columns of a tile, after what was filled.
template <int kW>
inline void write_filled(const TightFill<kW>& fill, int first, Pattern pattern,
                         ThresholdedStrip& strip) {
    const int m = pattern.m, n = pattern.n;
    for (int i = 0; i < m; ++i)
        strip.kept[i] = (strip.kept[i] & ~(kFieldMask<kW> << first)) | fill.kept(i) << first;
    for (int j = 0; j < m; ++j)
        if (strip.column_counts[first + j] < n)
            strip.column_counts[first + j] = static_cast<std::int16_t>(n - fill.column_need(j));
}

// `taken`: what rows of the strip took before, or null if nothing.
template <int kW>
inline void fill_tile(int first, Pattern pattern, const std::uint64_t* taken,
                      ThresholdedStrip& strip) {
    const int m = pattern.m, n = pattern.n;
    TightFill<kW> fill;
    for (int i = 0; i < m; ++i) {
        const std::uint64_t kept = strip.kept[i] >> first & kFieldMask<kW>;
        fill.set_row(i, kept, strip.undecided[i] >> first & kFieldMask<kW>, n - popcount(kept));
        if (taken != nullptr) fill.set_taken(i, taken[i] >> first & kFieldMask<kW>);
    }
    for (int j = 0; j < m; ++j) fill.set_column_need(j, n - strip.column_counts[first + j]);
    if (taken == nullptr) fill.fill_greedily(m);
    fill.augment(m);
    write_filled(fill, first, pattern, strip);
}

// Fills tiles over their undecided entries, all of which are tight.
template <int kW>
inline void fill_tight(std::uint64_t tiles, Pattern pattern, ThresholdedStrip& strip) {
    std::uint64_t taken[kW] = {};
    if constexpr (kFillsRowsOfStrips<kW>) tiles = fill_rows<kW>(tiles, pattern, strip, taken);
    for (; tiles != 0; tiles &= tiles - 1)
        fill_tile<kW>(__builtin_ctzll(tiles) * kW, pattern,
                      kFillsRowsOfStrips<kW> ? taken : nullptr, strip);
}

}  // namespace tnm::TNM_ISA
