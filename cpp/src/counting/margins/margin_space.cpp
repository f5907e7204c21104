#include "counting/margins/margin_space.hpp"

#include <algorithm>
#include <functional>

namespace tnm {
namespace {

std::uint32_t saturating_sum(std::uint32_t a, std::uint32_t b) {
    const std::uint32_t sum = a + b;
    return sum < a ? ProfileSpace::kTooMany : sum;
}

// From numbers of sequences a <= a_(v - 1) <= ... <= a_1 to those of a <= a_v <= ... <= a_1; both
// tables are [sum][a].
template <class Number, class Plus>
void add_value(const ProfileBounds& bounds, int v, int columns, int most_sum, const Number* shorter,
               Number* longer, const Plus& plus) {
    const std::ptrdiff_t stride = columns + 2;
    const int low = bounds.low.at_least[v], high = bounds.high.at_least[v];
    for (int sum = 0; sum <= most_sum; ++sum) {
        Number* target = longer + sum * stride;
        for (int a = columns; a >= 0; --a) {
            const bool allowed = low <= a && a <= high && a <= sum;
            target[a] = plus(target[a + 1], allowed ? shorter[(sum - a) * stride + a] : Number{0});
        }
    }
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
    const std::size_t layer = sums_ * stride_;
    for (int v = 1; v <= bounds.height; ++v) {
        std::uint32_t* longer = ways_.data() + static_cast<std::size_t>(v) * layer;
        add_value(bounds, v, columns, most_sum, longer - layer, longer, saturating_sum);
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
    std::vector<double> shorter((static_cast<std::size_t>(most_sum) + 1) * stride), longer(shorter);
    std::fill_n(shorter.begin(), columns + 1, 1.0);
    for (int v = 1; v <= bounds.height; ++v) {
        add_value(bounds, v, columns, most_sum, shorter.data(), longer.data(), std::plus<>());
        shorter.swap(longer);
    }
    double count = 0.0;
    for (int s = least_sum; s <= most_sum; ++s)
        count += shorter[static_cast<std::size_t>(s) * stride];
    return count;
}

}  // namespace tnm
