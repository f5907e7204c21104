// What an entry is worth beyond its two prices, in arithmetic without rounding.
#pragma once

namespace tnm::test::naive {

// -1, 0 or 1: whether a score is below, at or above a price of so many units, which are a power of
// two.
int compare(double score, int price, double unit);

}  // namespace tnm::test::naive
