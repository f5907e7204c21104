#include "reference/fast_path/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace tnm::test::naive {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

int exponent_of(double magnitude) {
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    return exponent;
}

double largest_in_column(const Tile& tile, int j) {
    double largest = 0.0;
    for (int i = 0; i < tile.rows; ++i) largest = std::max(largest, std::fabs(tile(i, j)));
    return largest;
}

// Whether the largest of some column, zeros aside, is far below the largest of all.
bool spans_many_bits(const Tile& tile) {
    double largest = 0.0, least = kInfinity;
    for (int j = 0; j < tile.columns; ++j) {
        const double of_column = largest_in_column(tile, j);
        largest = std::max(largest, of_column);
        if (of_column > 0.0) least = std::min(least, of_column);
    }
    return largest > 0.0 && exponent_of(largest) - exponent_of(least) >= 3;
}

int spare_bits(const Tile& tile, int width, double unit) {
    const int n = tile.pattern.n;
    const int row_step = width >= 64 ? 8 : width >= 8 ? 4 : 1;
    unsigned total = 0, sampled_rows = 0;
    bool on_lattice = true;
    for (int i = 0; i < tile.rows; i += row_step, ++sampled_rows)
        for (int j = 0; j < tile.columns; ++j) {
            const int size = std::abs(rounded(tile(i, j), unit));
            total += static_cast<unsigned>(size);
            on_lattice = on_lattice && size % 128 == 0;
        }
    const unsigned range =
        (width >= 32 ? total : 2 * total) / (sampled_rows * static_cast<unsigned>(n));
    if (range == 0) return 7;
    return on_lattice ? 0 : std::max(0, 14 - static_cast<int>(std::bit_width(range)));
}

// Whether, in four rows, more than 9/32 of the scores are not zero, but 20 bits below the largest.
bool mostly_out_of_sight(const Tile& tile, int width, int exponent) {
    int count = 0;
    for (int r = 0; r < 4; ++r)
        for (int j = 0; r * (width / 4) < tile.rows && j < tile.columns; ++j) {
            const double size = std::fabs(tile(r * (width / 4), j));
            count += size > 0.0 && size < std::ldexp(1.0, exponent - 20);
        }
    return count > 9 * tile.rows / 8;
}

}  // namespace

int rounded(double score, double unit) {
    return static_cast<int>(std::clamp(score / unit, -16383.0, 16383.0));
}

QuantizedTile quantize(const Tile& tile, int width, ExponentRange range) {
    QuantizedTile result;
    double largest = 0.0;
    for (const double score : tile.scores) largest = std::max(largest, std::fabs(score));
    int exponent = exponent_of(largest);
    result.out_of_range = exponent < range.least || exponent > range.largest;
    const bool rescaled = width >= 32 || spans_many_bits(tile);
    result.wide = rescaled && !result.out_of_range && mostly_out_of_sight(tile, width, exponent);
    if (rescaled && !result.wide)
        for (int round = 0; round < 3; ++round)
            exponent -= spare_bits(tile, width, std::ldexp(1.0, exponent - 14));
    result.unit = std::ldexp(1.0, exponent - 14);
    for (const double score : tile.scores) result.scores.push_back(rounded(score, result.unit));
    return result;
}

}  // namespace tnm::test::naive
