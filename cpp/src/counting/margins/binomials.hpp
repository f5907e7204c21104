// Pascal's triangle.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "counting/margins/wide_integer.hpp"

namespace tnm {

// Binomial coefficients modulo 2^64 or 2^128. Of 128 columns, every one of them fits in 128 bits.
template <class Coefficient>
class Binomials {
  public:
    explicit Binomials(int most)
        : stride_(static_cast<std::size_t>(most) + 1), table_(stride_ * stride_) {
        for (std::size_t n = 0; n < stride_; ++n) {
            table_[n * stride_] = 1;
            for (std::size_t k = 1; k <= n; ++k)
                table_[n * stride_ + k] =
                    table_[(n - 1) * stride_ + k - 1] + (k < n ? table_[(n - 1) * stride_ + k] : 0);
        }
    }
    Coefficient operator()(int n, int k) const { return row(n)[k]; }
    // Of n things, for 0, 1, 2, ... of them.
    const Coefficient* row(int n) const { return &table_[static_cast<std::size_t>(n) * stride_]; }

  private:
    std::size_t stride_;
    std::vector<Coefficient> table_;
};

// log2 of n over k.
inline double log2_binomial(int n, int k) {
    return (std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0)) / std::log(2.0);
}

}  // namespace tnm
