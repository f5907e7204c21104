#include "solvers/approximate/completion.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <utility>

namespace tnm {
namespace {

struct Counts {
    std::array<int, kMaxM> row{}, column{};
};

Counts count_kept(const ScoreTile& scores, const TileMask& mask) {
    Counts counts;
    for (int i = 0; i < scores.rows; ++i) {
        for (int j = 0; j < scores.columns; ++j) {
            counts.row[i] += mask.test(i, j);
            counts.column[j] += mask.test(i, j);
        }
    }
    return counts;
}

void exchange_at(const ScoreTile& scores, int i, int j, TileMask& mask) {
    double best = -std::numeric_limits<double>::infinity();
    int best_row = -1, best_column = -1;
    for (int r = 0; r < scores.rows; ++r) {
        if (mask.test(r, j)) continue;
        for (int c = 0; c < scores.columns; ++c) {
            if (mask.test(i, c) || !mask.test(r, c)) continue;
            const double gain = scores(i, c) + scores(r, j) - scores(r, c);
            if (best_row < 0 || gain > best) {
                best = gain;
                best_row = r;
                best_column = c;
            }
        }
    }
    mask.clear(best_row, best_column);
    mask.set(i, best_column);
    mask.set(best_row, j);
}

struct Ranked {
    std::uint64_t key;
    int position;
};

// Unsigned numbers that ascend where scores descend.
std::uint64_t descending_key(double score) {
    constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
    const auto bits = std::bit_cast<std::uint64_t>(score + 0.0);  // zero has one sign
    return (bits & kSign) != 0 ? bits : ~(bits | kSign);
}

// A stable radix sort, of whose digits most need no look: scores that were floats share many.
void sort_by_key(std::vector<Ranked>& entries, std::vector<Ranked>& space) {
    constexpr int kDigitBits = 8;
    constexpr std::uint64_t kDigit = (1U << kDigitBits) - 1;
    std::uint64_t differing = 0;
    for (const Ranked& entry : entries) differing |= entry.key ^ entries.front().key;
    space.resize(entries.size());
    for (int shift = 0; shift < 64; shift += kDigitBits) {
        if ((differing >> shift & kDigit) == 0) continue;
        std::array<int, kDigit + 1> next{};
        for (const Ranked& entry : entries) ++next[entry.key >> shift & kDigit];
        int before = 0;
        for (int& count : next) before += std::exchange(count, before);
        for (const Ranked& entry : entries)
            space[static_cast<std::size_t>(next[entry.key >> shift & kDigit]++)] = entry;
        entries.swap(space);
    }
}

}  // namespace

void order_by_score(const ScoreTile& scores, std::vector<int>& order) {
    std::vector<Ranked> entries, space;
    entries.reserve(static_cast<std::size_t>(scores.rows) * scores.columns);
    for (int i = 0; i < scores.rows; ++i)
        for (int j = 0; j < scores.columns; ++j)
            entries.push_back({descending_key(scores.order(i, j)), i * scores.columns + j});
    sort_by_key(entries, space);
    order.resize(entries.size());
    for (std::size_t k = 0; k < entries.size(); ++k) order[k] = entries[k].position;
}

double total_score(const ScoreTile& scores, const TileMask& mask, bool kept) {
    double sum = 0.0;
    for (int i = 0; i < scores.rows; ++i)
        for (int j = 0; j < scores.columns; ++j)
            if (mask.test(i, j) == kept) sum += scores(i, j);
    return sum;
}

void fill_greedily(const ScoreTile& scores, const std::vector<int>& order, TileMask& mask) {
    const int n = scores.pattern.n;
    Counts counts = count_kept(scores, mask);
    for (const int position : order) {
        const int i = position / scores.columns, j = position % scores.columns;
        if (!scores.full() && scores.order(i, j) <= 0.0) break;
        if (counts.row[i] == n || counts.column[j] == n || mask.test(i, j)) continue;
        mask.set(i, j);
        ++counts.row[i];
        ++counts.column[j];
    }
}

void complete_by_exchange(const ScoreTile& scores, TileMask& mask) {
    const int n = scores.pattern.n;
    Counts counts = count_kept(scores, mask);
    int j = 0;
    for (int i = 0; i < scores.rows; ++i) {
        for (; counts.row[i] < n; ++counts.row[i]) {
            while (counts.column[j] == n) ++j;
            if (mask.test(i, j))
                exchange_at(scores, i, j, mask);
            else
                mask.set(i, j);
            ++counts.column[j];
        }
    }
}

}  // namespace tnm
