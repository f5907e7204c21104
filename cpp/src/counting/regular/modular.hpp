// Arithmetic modulo primes below 2^32, one number at a time.
#pragma once

#include <cstdint>
#include <vector>

namespace tnm {

inline std::uint32_t multiply_mod(std::uint32_t a, std::uint32_t b, std::uint32_t prime) {
    return static_cast<std::uint32_t>(std::uint64_t{a} * b % prime);
}

std::uint32_t power_mod(std::uint32_t base, std::uint64_t exponent, std::uint32_t prime);
std::uint32_t inverse_mod(std::uint32_t value, std::uint32_t prime);
std::uint32_t factorial_mod(int n, std::uint32_t prime);
std::uint32_t binomial_mod(int n, int k, std::uint32_t prime);

// The largest primes that are below `limit` and 1 modulo `order`, descending.
std::vector<std::uint32_t> primes_with_roots(int order, std::uint32_t limit, int count);

// An element of exact order `order`, which divides prime - 1.
std::uint32_t root_of_unity(int order, std::uint32_t prime);

// Mixed radix digits of the number below the product of the primes that has these residues.
std::vector<std::uint32_t> mixed_radix(const std::vector<std::uint32_t>& residues,
                                       const std::vector<std::uint32_t>& primes);

}  // namespace tnm
