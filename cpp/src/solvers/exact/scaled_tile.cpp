#include "solvers/exact/scaled_tile.hpp"

#include <algorithm>
#include <cmath>

#define TNM_ISA baseline
#include "simd/vectors-inl.hpp"

namespace tnm {
namespace {

using namespace baseline;

// A tile of "at most n" never keeps a score below zero: it may as well be zero.
template <class Number>
Number relevant(Number score, bool exact) {
    return exact ? score : maximum(score, Number{});
}

// Four at a time: the compiler may not reorder a maximum by itself.
double largest_magnitude(const ScoreTile& tile) {
    constexpr int kStep = 4 * kLanes<Doublex2>;
    const bool exact = tile.full();
    Doublex2 largest[4] = {};
    double rest = 0.0;
    for (int i = 0; i < tile.rows; ++i) {
        const double* row = tile.row(i);
        int j = 0;
        for (; j + kStep <= tile.columns; j += kStep)
            for (int k = 0; k < 4; ++k) {
                const auto score = load<Doublex2>(row + j + k * kLanes<Doublex2>);
                largest[k] = maximum(largest[k], magnitude(relevant(score, exact)));
            }
        for (; j < tile.columns; ++j) rest = maximum(rest, std::fabs(relevant(row[j], exact)));
    }
    const Doublex2 all = maximum(maximum(largest[0], largest[1]), maximum(largest[2], largest[3]));
    return maximum(rest, maximum(all[0], all[1]));
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
    std::fill(values_.end() - kPadding, values_.end(), 0.0);
}

}  // namespace tnm
