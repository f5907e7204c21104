// Coordinate descent on the prices of one tile, by sorting.
#pragma once

#include <vector>

namespace tnm::test::naive {

// The integers of one field: line k holds entry k of each of its lanes.
struct Lines {
    int width = 0;
    std::vector<int> values;  // [line][lane]

    int operator()(int line, int lane) const {
        return values[static_cast<std::size_t>(line * width + lane)];
    }
};

inline constexpr int kPriceBound = 16383;

// Which lanes of a field hold a row or column, not padding: the first m.
struct SweepPlan {
    int m = 0, n = 0;
    int overshoot_eighths = 0;
};

// What each lane's entries are worth beyond the other side's prices, descending.
std::vector<int> sorted_values(const Lines& lines, const std::vector<int>& other_prices, int lane);

// Prices to the middle between the n-th and the (n+1)-th, rounded up, and somewhat beyond.
void sweep_side(const Lines& lines, const std::vector<int>& other_prices, const SweepPlan& plan,
                std::vector<int>& prices);

// The same, but from where the price stands by one rank at most, with distances from it in 16 bits:
// prices beyond half of the bound may see some on the wrong side, and end up worse. Returns whether
// at most four prices are more than two ranks from their place.
bool sweep_side_near(const Lines& lines, const std::vector<int>& other_prices,
                     const SweepPlan& plan, std::vector<int>& prices);

// The n-th itself, at most the bound, which is a multiple of `lattice`; zero if that is zero.
void sweep_side_to_nth(const Lines& lines, const std::vector<int>& other_prices,
                       const SweepPlan& plan, int lattice, std::vector<int>& prices);

// Half of how far each column's mean is from the mean of the field.
std::vector<int> start_from_column_means(const Lines& by_row);

}  // namespace tnm::test::naive
