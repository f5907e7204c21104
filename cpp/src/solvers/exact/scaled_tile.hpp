// A tile's scores scaled by a power of two, so that the largest magnitude lies in [0.5, 1).
//
// The scaling is exact (short of underflow far below the largest score), keeps every order and
// every tie, and lets the solver work at one magnitude whatever the data. On tiles of "at most n"
// scores below zero become zero: neither is ever kept.
#pragma once

#include <cstddef>
#include <vector>

#include "tiles/tile.hpp"

namespace tnm {

class ScaledTile {
  public:
    void assign(const ScoreTile& tile);

    int rows() const { return rows_; }
    int columns() const { return columns_; }
    int n() const { return n_; }
    // Exactly n in each row and column, or at most n.
    bool exact() const { return exact_; }
    // The largest magnitude, scaled.
    double largest() const { return largest_; }
    // original score = scaled score * 2^exponent
    int exponent() const { return exponent_; }
    // After the last row there are zeros.
    static constexpr int kPadding = 8;
    const double* row(int i) const {
        return values_.data() + static_cast<std::ptrdiff_t>(i) * columns_;
    }

  private:
    std::vector<double> values_;
    int rows_ = 0, columns_ = 0, n_ = 0, exponent_ = 0;
    double largest_ = 0.0;
    bool exact_ = true;
};

}  // namespace tnm
