#include "reference/fast_path/threshold.hpp"

#include <cmath>

namespace tnm::test::naive {

int compare(double score, int price, double unit) {
    // No double leaves the range of a long double, or loses a bit in it, by a factor of two.
    int exponent = 0;
    std::frexp(unit, &exponent);
    const long double in_units = std::ldexp(static_cast<long double>(score), 1 - exponent);
    return (in_units > price) - (in_units < price);
}

}  // namespace tnm::test::naive
