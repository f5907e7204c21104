#include "counting/margins/wide_integer.hpp"

#include <cmath>

namespace tnm {
namespace {

struct Leading {
    double mantissa = 0.0;
    int exponent = 0;
};

// Rounded to about 53 bits.
Leading leading(const std::uint64_t* number, int limbs) {
    int top = limbs - 1;
    while (top > 0 && number[top] == 0) --top;
    double mantissa = static_cast<double>(number[top]);
    if (top == 0) return {mantissa, 0};
    mantissa += std::ldexp(static_cast<double>(number[top - 1]), -64);
    return {mantissa, 64 * top};
}

}  // namespace

std::uint64_t divide(std::uint64_t* number, const std::uint64_t* value, int limbs) {
    // Estimates in double fall short by a small factor: a few of them add up to the quotient.
    constexpr double kShort = 1.0 - 0x1p-48;
    const Leading divisor = leading(value, limbs);
    std::uint64_t quotient = 0;
    for (;;) {
        const Leading rest = leading(number, limbs + 1);
        const double ratio =
            std::ldexp(rest.mantissa / divisor.mantissa * kShort, rest.exponent - divisor.exponent);
        const auto estimate = static_cast<std::uint64_t>(ratio < 1.0 ? 1.0 : ratio);
        if (!subtract_product<0>(number, value, limbs, estimate)) return quotient;
        quotient += estimate;
    }
}

}  // namespace tnm
