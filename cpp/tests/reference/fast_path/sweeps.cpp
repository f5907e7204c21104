#include "reference/fast_path/sweeps.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <numeric>

namespace tnm::test::naive {
namespace {

int floor_of(int number, int divisor) {
    return number / divisor - (number % divisor < 0 ? 1 : 0);
}

// Rounded up.
int midpoint(int a, int b) {
    return floor_of(a + b + 1, 2);
}

int clamped(int price) {
    return std::clamp(price, -kPriceBound, kPriceBound);
}

int overshoot(int step, int eighths) {
    if (eighths == 3) return floor_of(step, 4) + floor_of(step, 8);
    return eighths == 0 ? 0 : floor_of(step, 8 / eighths);
}

// Descending, in 16 bits: what is further away than that comes out on the other side.
std::vector<int> distances_from(int price, const std::vector<int>& values) {
    std::vector<int> distances;
    for (const int value : values) distances.push_back(static_cast<std::int16_t>(value - price));
    std::sort(distances.begin(), distances.end(), std::greater<>());
    return distances;
}

}  // namespace

std::vector<int> sorted_values(const Lines& lines, const std::vector<int>& other_prices, int lane) {
    std::vector<int> values;
    for (int line = 0; line < lines.width; ++line)
        values.push_back(lines(line, lane) - other_prices[static_cast<std::size_t>(line)]);
    std::sort(values.begin(), values.end(), std::greater<>());
    return values;
}

void sweep_side(const Lines& lines, const std::vector<int>& other_prices, const SweepPlan& plan,
                std::vector<int>& prices) {
    for (int lane = 0; lane < lines.width; ++lane) {
        const auto values = sorted_values(lines, other_prices, lane);
        const auto n = static_cast<std::size_t>(plan.n);
        int& price = prices[static_cast<std::size_t>(lane)];
        const int target = clamped(midpoint(values[n - 1], values[n]));
        price = clamped(target + overshoot(target - price, plan.overshoot_eighths));
        if (lane >= plan.m) price = 0;
    }
}

bool sweep_side_near(const Lines& lines, const std::vector<int>& other_prices,
                     const SweepPlan& plan, std::vector<int>& prices) {
    int far = 0;
    for (int lane = 0; lane < lines.width; ++lane) {
        int& price = prices[static_cast<std::size_t>(lane)];
        const auto distances = distances_from(price, sorted_values(lines, other_prices, lane));
        const auto not_below = static_cast<int>(std::count_if(
            distances.begin(), distances.end(), [](int distance) { return distance >= 0; }));
        const int ranks = not_below - plan.n;
        const auto above = static_cast<std::size_t>(not_below - std::clamp(ranks, -1, 1));
        const int step = clamped(midpoint(distances[above - 1], distances[above]));
        price = clamped(clamped(price + step) + overshoot(step, plan.overshoot_eighths));
        if (lane >= plan.m)
            price = 0;
        else if (std::abs(ranks) > 2)
            ++far;
    }
    return far <= 4;
}

void sweep_side_to_nth(const Lines& lines, const std::vector<int>& other_prices,
                       const SweepPlan& plan, int lattice, std::vector<int>& prices) {
    const int bound = lattice == 0 ? 0 : kPriceBound / lattice * lattice;
    for (int lane = 0; lane < lines.width; ++lane) {
        const auto values = sorted_values(lines, other_prices, lane);
        const int nth = values[static_cast<std::size_t>(plan.n - 1)];
        prices[static_cast<std::size_t>(lane)] = lane < plan.m ? std::clamp(nth, -bound, bound) : 0;
    }
}

std::vector<int> start_from_column_means(const Lines& by_row) {
    std::vector<int> sums;
    for (int j = 0; j < by_row.width; ++j) {
        sums.push_back(0);
        for (int i = 0; i < by_row.width; ++i) sums.back() += by_row(i, j);
    }
    const int mean = std::accumulate(sums.begin(), sums.end(), 0) / by_row.width;
    for (int& sum : sums) sum = (sum - mean) / (2 * by_row.width);
    return sums;
}

}  // namespace tnm::test::naive
