#include "counting/margins/binomials.hpp"

#include <cmath>

namespace tnm {

double log2_binomial(int n, int k) {
    double sum = 0.0;
    for (int i = 1; i <= k; ++i) sum += std::log2(n - k + i) - std::log2(i);
    return sum;
}

}  // namespace tnm
