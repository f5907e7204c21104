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

// Whether n entries can be kept at this price: the descent has nothing to gain from this line.
bool is_balanced(const double* values, int count, int n, double price) {
    int above = 0, not_below = 0;
    for (int k = 0; k < count; ++k) {
        above += values[k] > price;
        not_below += values[k] >= price;
    }
    return above <= n && n <= not_below;
}

double best_price(double* values, int count, int n, bool exact, double lattice, double price) {
    if (n >= count) return 0.0;
    if (is_balanced(values, count, n, price)) return price;
    std::nth_element(values, values + n - 1, values + count, std::greater<>());
    const double upper = values[n - 1];
    const double lower = *std::max_element(values + n, values + count);
    double best = lower + (upper - lower) / 2;
    if (lattice > 0.0) best = std::floor(best / lattice) * lattice;
    return exact ? best : std::max(best, 0.0);
}

}  // namespace

bool refine_prices(const ScaledTile& tile, double* row_prices, double* column_prices) {
    const double lattice = lattice_of(tile);
    std::array<double, kMaxM> values;
    bool changed = false;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        for (int i = 0; i < tile.rows(); ++i) {
            for (int j = 0; j < tile.columns(); ++j) values[j] = tile.row(i)[j] - column_prices[j];
            row_prices[i] = best_price(values.data(), tile.columns(), tile.n(), tile.exact(),
                                       lattice, row_prices[i]);
        }
        for (int j = 0; j < tile.columns(); ++j) {
            for (int i = 0; i < tile.rows(); ++i) values[i] = tile.row(i)[j] - row_prices[i];
            column_prices[j] = best_price(values.data(), tile.rows(), tile.n(), tile.exact(),
                                          lattice, column_prices[j]);
        }
    }
}

}  // namespace tnm
