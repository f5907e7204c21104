// Products as they are defined, in double, and how far sums in float may be from them.
#pragma once

#include <vector>

#include "support/array.hpp"
#include "tnm/products.hpp"

namespace tnm::test {

// Of each token and row, in C order.
struct NaiveProduct {
    std::vector<double> sums;
    // Whatever the order: each of k products goes through k additions at most, and one of a bias.
    // So a sum is off by (k + 3) 2^-24 of the magnitudes at most, and by half the smallest denormal
    // number for each product. Where `flushes`, denormal factors and sums may count as zero.
    std::vector<double> bounds;
};
// The weights are a matrix, the activations any number of tokens; `bias` may be empty.
NaiveProduct naive_product(const Array& weights, const MaskArray& mask, const Array& activations,
                           const std::vector<float>& bias, bool flushes);

double naive_activation(Activation activation, double x);
// How far the activation of a sum may be off that is off by `bound`. Slopes are below 1.13; by
// itself a function is off by 8 units in the last place, and by 1e-7 of sums of up to 6.
double activation_bound(Activation activation, double sum, double bound);

// The nearest number of a floating point type, ties to even; infinite if beyond the largest.
double rounded(Dtype dtype, double value);

}  // namespace tnm::test
