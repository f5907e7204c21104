#include "solvers/exact/scaled_tile.hpp"

#include <algorithm>
#include <cmath>

namespace tnm {
namespace {

// A tile of "at most n" never keeps a score below zero: it may as well be zero.
double relevant(double score, bool exact) {
    return exact ? score : std::max(score, 0.0);
}

double largest_magnitude(const ScoreTile& tile) {
    double largest = 0.0;
    for (int i = 0; i < tile.rows; ++i) {
        const double* row = tile.row(i);
        for (int j = 0; j < tile.columns; ++j)
            largest = std::max(largest, std::fabs(relevant(row[j], tile.full())));
    }
    return largest;
}

}  // namespace

void ScaledTile::assign(const ScoreTile& tile) {
    rows_ = tile.rows;
    columns_ = tile.columns;
    n_ = tile.pattern.n;
    exact_ = tile.full();
    exponent_ = 0;
    largest_ = std::frexp(largest_magnitude(tile), &exponent_);
    values_.resize(static_cast<std::size_t>(rows_) * columns_ + kPadding);

    // Two factors: 2^-exponent itself may be beyond the range of double.
    const double first = std::ldexp(1.0, -(exponent_ / 2));
    const double second = std::ldexp(1.0, -(exponent_ - exponent_ / 2));
    for (int i = 0; i < rows_; ++i) {
        const double* source = tile.row(i);
        double* target = values_.data() + static_cast<std::ptrdiff_t>(i) * columns_;
        for (int j = 0; j < columns_; ++j) target[j] = relevant(source[j], exact_) * first * second;
    }
}

}  // namespace tnm
