#include "optimal/refine_prices.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>

namespace tnm {
namespace {

constexpr int kSweeps = 6;
// Below this, sums of prices and scores need more bits than double has.
constexpr int kFinestLattice = -50;

// The largest power of two that divides every score, or 0 if it is too small to be of use.
double lattice_of(const ScaledTile& tile) {
    int lattice = 0;
    for (int i = 0; i < tile.rows(); ++i) {
        for (int j = 0; j < tile.columns(); ++j) {
            if (tile.row(i)[j] == 0.0) continue;
            int exponent = 0;
            const double fraction = std::frexp(std::fabs(tile.row(i)[j]), &exponent);
            const auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
            lattice = std::min(lattice, exponent - 53 + std::countr_zero(mantissa));
        }
    }
    return lattice < kFinestLattice ? 0.0 : std::ldexp(1.0, lattice);
}

double best_price(double* values, int count, int n, bool exact, double lattice) {
    if (n >= count) return 0.0;
    std::nth_element(values, values + n - 1, values + count, std::greater<>());
    const double upper = values[n - 1];
    const double lower = *std::max_element(values + n, values + count);
    double price = lower + (upper - lower) / 2;
    if (lattice > 0.0) price = std::floor(price / lattice) * lattice;
    return exact ? price : std::max(price, 0.0);
}

}  // namespace

void refine_prices(const ScaledTile& tile, double* row_prices, double* column_prices) {
    const double lattice = lattice_of(tile);
    std::array<double, kMaxM> values;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        for (int i = 0; i < tile.rows(); ++i) {
            for (int j = 0; j < tile.columns(); ++j) values[j] = tile.row(i)[j] - column_prices[j];
            row_prices[i] =
                best_price(values.data(), tile.columns(), tile.n(), tile.exact(), lattice);
        }
        for (int j = 0; j < tile.columns(); ++j) {
            for (int i = 0; i < tile.rows(); ++i) values[i] = tile.row(i)[j] - row_prices[i];
            column_prices[j] =
                best_price(values.data(), tile.rows(), tile.n(), tile.exact(), lattice);
        }
    }
}

}  // namespace tnm
