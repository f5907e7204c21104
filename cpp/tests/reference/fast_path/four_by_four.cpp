#include "reference/fast_path/four_by_four.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace tnm::test::naive {
namespace {

// The columns that each row keeps, bit j for column j.
using Rows = std::array<unsigned, 4>;

// A row keeps two columns; those of a class are complementary.
constexpr unsigned kClasses[] = {0b0011, 0b1100, 0b0101, 0b1010, 0b1001, 0b0110};

// 90 masks in 108 ways, in the order in which ties are resolved: how rows pair up, then what the
// upper row of the first pair keeps, then that of the second. The other row keeps the rest.
std::vector<Rows> masks_of_two() {
    std::vector<Rows> masks;
    for (const std::size_t partner : {1U, 2U, 3U}) {
        const std::size_t other = partner == 1 ? 2 : 1, last = 6 - partner - other;
        for (const unsigned first : kClasses)
            for (const unsigned second : kClasses) {
                Rows rows{};
                rows[0] = first;
                rows[partner] = 0b1111 ^ first;
                rows[other] = second;
                rows[last] = 0b1111 ^ second;
                masks.push_back(rows);
            }
    }
    return masks;
}

// The permutations: which columns rows 0 and 1 keep, in which order, and in which order rows 2 and
// 3 keep the rest.
std::vector<Rows> masks_of_one() {
    std::vector<Rows> masks;
    for (unsigned low = 0; low < 4; ++low)
        for (unsigned high = low + 1; high < 4; ++high) {
            std::array<unsigned, 2> rest{};
            std::size_t found = 0;
            for (unsigned j = 0; j < 4; ++j)
                if (j != low && j != high) rest[found++] = j;
            for (const bool crossed : {false, true})
                for (const bool rest_crossed : {false, true})
                    masks.push_back({1U << (crossed ? high : low), 1U << (crossed ? low : high),
                                     1U << rest[rest_crossed], 1U << rest[!rest_crossed]});
        }
    return masks;
}

// What 1:4 keeps, counted from the right, is dropped.
std::vector<Rows> masks_of_three() {
    std::vector<Rows> masks = masks_of_one();
    for (Rows& rows : masks)
        for (unsigned& row : rows) {
            unsigned dropped = 0;
            for (unsigned j = 0; j < 4; ++j) dropped |= (row >> j & 1U) << (3 - j);
            row = 0b1111 ^ dropped;
        }
    return masks;
}

Flags flags_of(const Rows& rows) {
    Flags flags;
    for (const unsigned row : rows)
        for (unsigned j = 0; j < 4; ++j) flags.push_back(row >> j & 1U);
    return flags;
}

std::vector<Flags> flags_of(const std::vector<Rows>& masks) {
    std::vector<Flags> flags;
    for (const Rows& rows : masks) flags.push_back(flags_of(rows));
    return flags;
}

long double margin_of_pair(const Tile& tile, std::size_t row, std::size_t partner) {
    std::array<long double, 3> worth{};
    for (std::size_t k = 0; k < 6; ++k) {
        Rows rows{};
        rows[row] = kClasses[k];
        rows[partner] = 0b1111 ^ kClasses[k];
        const long double sum = total(tile, flags_of(rows));
        worth[k / 2] = k % 2 == 0 ? sum : std::max(worth[k / 2], sum);
    }
    std::sort(worth.begin(), worth.end());
    return worth[2] - worth[1];
}

}  // namespace

BestOfFour four_by_four(const Tile& tile) {
    static const std::vector<Flags> masks[] = {flags_of(masks_of_one()), flags_of(masks_of_two()),
                                               flags_of(masks_of_three())};
    const int n = tile.pattern.n;
    constexpr long double kInfinity = std::numeric_limits<long double>::infinity();
    long double most = -kInfinity, second = -kInfinity;
    BestOfFour best;
    for (const Flags& flags : masks[n - 1]) {
        const long double worth = total(tile, flags);
        if (worth > most) {
            second = most;
            most = worth;
            best.kept = flags;
        } else if (flags != best.kept) {
            second = std::max(second, worth);
        }
    }
    best.margin = best.closest = most - second;
    if (n != 2) return best;
    for (std::size_t row = 0; row < 4; ++row)
        for (std::size_t partner = row + 1; partner < 4; ++partner)
            best.closest = std::min(best.closest, margin_of_pair(tile, row, partner));
    return best;
}

}  // namespace tnm::test::naive
