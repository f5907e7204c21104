#include "reference/products.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tnm::test {
namespace {

const double kUnit = std::ldexp(1.0, -24);
const double kSmallestNormal = std::ldexp(1.0, -126);

double large_part(double value) {
    return std::fabs(value) < kSmallestNormal ? 0.0 : std::fabs(value);
}

struct Format {
    int bits;         // of the significand
    int least;        // exponent of the smallest normal number
    double overflow;  // what is rounded to infinity
};

Format format_of(Dtype dtype) {
    if (dtype == Dtype::float16) return {11, -14, 65520.0};
    const int bits = dtype == Dtype::bfloat16 ? 8 : 24;
    return {bits, -126, std::ldexp(2.0 - std::ldexp(1.0, -bits), 127)};
}

}  // namespace

NaiveProduct naive_product(const Array& weights, const MaskArray& mask, const Array& activations,
                           const std::vector<float>& bias, bool flushes) {
    const std::int64_t rows = weights.shape()[0], columns = weights.shape()[1];
    const Shape& shape = activations.shape();
    const std::int64_t tokens = size_of(Shape(shape.begin(), shape.end() - 1));
    NaiveProduct product;
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t r = 0; r < rows; ++r) {
            double sum =
                bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<std::size_t>(r)]);
            double magnitudes = std::fabs(sum), lost = 0.0, kept = 0.0;
            for (std::int64_t c = 0; c < columns; ++c) {
                if (!mask.get(r * columns + c)) continue;
                const double weight = weights.get(r * columns + c);
                const double x = activations.get(t * columns + c);
                sum += weight * x;
                magnitudes += std::fabs(weight * x);
                lost += std::fabs(weight * x) - large_part(weight) * large_part(x);
                kept += 1.0;
            }
            double bound = 1.001 * (kept + 3.0) * kUnit * magnitudes + std::ldexp(kept, -149);
            if (flushes) bound += lost + kept * kSmallestNormal;
            product.sums.push_back(sum);
            product.bounds.push_back(bound);
        }
    return product;
}

double naive_activation(Activation activation, double x) {
    // What they tend to, where the definition is infinity times zero.
    if (activation != Activation::none && std::isinf(x)) return std::max(x, 0.0);
    switch (activation) {
        case Activation::relu:
            return x < 0.0 ? 0.0 : x;
        case Activation::gelu:
            return x / 2.0 * std::erfc(-x / std::sqrt(2.0));
        case Activation::gelu_tanh:
            return x / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / std::acos(-1.0)) *
                                       (x + 0.044715 * x * x * x)));
        case Activation::silu:
            return x / (1.0 + std::exp(-x));
        case Activation::none:
            break;
    }
    return x;
}

double activation_bound(Activation activation, double sum, double bound) {
    if (activation == Activation::none || activation == Activation::relu) return bound;
    return 1.13 * bound + 16.0 * kUnit * std::fabs(naive_activation(activation, sum)) +
           1e-7 * std::min(std::fabs(sum), 6.0) + 1e-36;
}

double rounded(Dtype dtype, double value) {
    if (value == 0.0 || !std::isfinite(value)) return value;
    const Format format = format_of(dtype);
    const double infinity = std::numeric_limits<double>::infinity();
    if (std::fabs(value) >= format.overflow) return std::copysign(infinity, value);
    const int exponent = std::max(std::ilogb(value), format.least) - (format.bits - 1);
    return std::ldexp(std::nearbyint(std::ldexp(value, -exponent)), exponent);
}

}  // namespace tnm::test
