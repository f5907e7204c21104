#include "counting/regular/modular.hpp"

#include <cstddef>

namespace tnm {
namespace {

bool is_prime(std::uint32_t candidate) {
    if (candidate < 2) return false;
    for (std::uint32_t d = 2; std::uint64_t{d} * d <= candidate; ++d)
        if (candidate % d == 0) return false;
    return true;
}

}  // namespace

std::uint32_t power_mod(std::uint32_t base, std::uint64_t exponent, std::uint32_t prime) {
    std::uint32_t result = 1;
    for (base %= prime; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result = multiply_mod(result, base, prime);
        base = multiply_mod(base, base, prime);
    }
    return result;
}

std::uint32_t inverse_mod(std::uint32_t value, std::uint32_t prime) {
    return power_mod(value, prime - 2, prime);
}

std::uint32_t factorial_mod(int n, std::uint32_t prime) {
    std::uint32_t product = 1;
    for (int k = 2; k <= n; ++k)
        product = multiply_mod(product, static_cast<std::uint32_t>(k), prime);
    return product;
}

std::uint32_t binomial_mod(int n, int k, std::uint32_t prime) {
    const std::uint32_t below =
        multiply_mod(factorial_mod(k, prime), factorial_mod(n - k, prime), prime);
    return multiply_mod(factorial_mod(n, prime), inverse_mod(below, prime), prime);
}

std::vector<std::uint32_t> primes_with_roots(int order, std::uint32_t limit, int count) {
    const auto step = static_cast<std::uint32_t>(order);
    std::vector<std::uint32_t> primes;
    for (std::uint32_t candidate = (limit - 2) / step * step + 1;
         static_cast<int>(primes.size()) < count && candidate > step; candidate -= step)
        if (is_prime(candidate)) primes.push_back(candidate);
    return primes;
}

std::uint32_t root_of_unity(int order, std::uint32_t prime) {
    const auto n = static_cast<std::uint32_t>(order);
    for (std::uint32_t base = 2;; ++base) {
        const std::uint32_t root = power_mod(base, (prime - 1) / n, prime);
        bool exact = true;
        for (std::uint32_t d = 1; d < n && exact; ++d)
            exact = n % d != 0 || power_mod(root, d, prime) != 1;
        if (exact) return root;
    }
}

std::vector<std::uint32_t> mixed_radix(const std::vector<std::uint32_t>& residues,
                                       const std::vector<std::uint32_t>& primes) {
    std::vector<std::uint32_t> digits;
    for (std::size_t k = 0; k < primes.size(); ++k) {
        const std::uint32_t prime = primes[k];
        // The number that the digits so far stand for, and the product of their primes.
        std::uint32_t value = 0, weight = 1;
        for (std::size_t i = 0; i < k; ++i) {
            value = static_cast<std::uint32_t>((value + std::uint64_t{digits[i]} % prime * weight) %
                                               prime);
            weight = multiply_mod(weight, primes[i] % prime, prime);
        }
        const std::uint32_t missing = (residues[k] + prime - value) % prime;
        digits.push_back(multiply_mod(missing, inverse_mod(weight, prime), prime));
    }
    return digits;
}

}  // namespace tnm
