#include "counting/margins/margin_space.hpp"

#include <algorithm>

namespace tnm {
namespace {

std::uint32_t saturating_sum(std::uint32_t a, std::uint32_t b) {
    const std::uint32_t sum = a + b;
    return sum < a ? ProfileSpace::kTooMany : sum;
}

}  // namespace

Profile profile_of(const int* needs, int columns) {
    Profile profile;
    for (int j = 0; j < columns; ++j)
        for (int v = 1; v <= needs[j]; ++v) ++profile.at_least[v];
    return profile;
}

ProfileSpace::ProfileSpace(const ProfileBounds& bounds, int columns, int most_sum)
    : bounds_(bounds),
      sums_(static_cast<std::size_t>(most_sum) + 1),
      stride_(static_cast<std::size_t>(columns) + 2),
      ways_((static_cast<std::size_t>(bounds.height) + 1) * sums_ * stride_) {
    std::fill_n(ways_.begin(), columns + 1, 1U);
    for (int v = 1; v <= bounds.height; ++v) {
        const int low = bounds.low.at_least[v], high = bounds.high.at_least[v];
        for (int sum = 0; sum <= most_sum; ++sum) {
            auto* target = const_cast<std::uint32_t*>(ways(v, sum));
            for (int a = columns; a >= 0; --a) {
                const bool allowed = low <= a && a <= high && a <= sum;
                const std::uint32_t chosen = allowed ? ways(v - 1, sum - a)[a] : 0;
                target[a] = saturating_sum(target[a + 1], chosen);
            }
        }
    }
}

Profile ProfileSpace::profile(int sum, std::uint32_t index) const {
    Profile profile;
    int above = 0;
    for (int v = bounds_.height; v >= 1; --v) {
        const std::uint32_t* row = ways(v, sum);
        int a = above;
        while (row[above] - row[a + 1] <= index) ++a;
        index -= row[above] - row[a];
        profile.at_least[v] = static_cast<std::uint8_t>(a);
        above = a;
        sum -= a;
    }
    return profile;
}

std::uint64_t ProfileSpace::bytes_of(int height, int columns, int most_sum) {
    return sizeof(std::uint32_t) * static_cast<std::uint64_t>(height + 1) *
           static_cast<std::uint64_t>(most_sum + 1) * static_cast<std::uint64_t>(columns + 2);
}

double ProfileSpace::count_of(const ProfileBounds& bounds, int columns, int least_sum,
                              int most_sum) {
    const std::size_t stride = static_cast<std::size_t>(columns) + 2;
    const auto row = [&](std::vector<double>& table, int s) {
        return table.data() + static_cast<std::size_t>(s) * stride;
    };
    std::vector<double> shorter((static_cast<std::size_t>(most_sum) + 1) * stride), longer(shorter);
    std::fill_n(shorter.begin(), columns + 1, 1.0);
    for (int v = 1; v <= bounds.height; ++v) {
        const int low = bounds.low.at_least[v], high = bounds.high.at_least[v];
        for (int s = 0; s <= most_sum; ++s) {
            double* target = row(longer, s);
            for (int a = columns; a >= 0; --a) {
                const bool allowed = low <= a && a <= high && a <= s;
                target[a] = target[a + 1] + (allowed ? row(shorter, s - a)[a] : 0.0);
            }
        }
        shorter.swap(longer);
    }
    double count = 0.0;
    for (int s = least_sum; s <= most_sum; ++s) count += row(shorter, s)[0];
    return count;
}

}  // namespace tnm
