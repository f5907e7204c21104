#include "solvers/exact/refine_prices.hpp"

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

// The exponent of the largest power of two that divides a value other than zero.
int lowest_bit(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
    const std::uint64_t fraction = bits & 0xfffffffffffffULL;
    if (exponent == 0) return std::countr_zero(fraction) - 1074;
    return std::countr_zero(fraction | std::uint64_t{1} << 52) + exponent - 1075;
}

// The largest power of two up to 1 that divides every score, or 0 if it is too small to be of use.
double lattice_of(const ScaledTile& tile) {
    int lattice = 0;
    for (int i = 0; i < tile.rows(); ++i) {
        for (int j = 0; j < tile.columns(); ++j)
            if (tile.row(i)[j] != 0.0) lattice = std::min(lattice, lowest_bit(tile.row(i)[j]));
        if (lattice < kFinestLattice) return 0.0;
    }
    return std::ldexp(1.0, lattice);
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

bool refine_prices(const ScaledTile& tile, TilePrices& prices) {
    const double lattice = lattice_of(tile);
    const int n = tile.n();
    std::array<double, kMaxM> values;
    bool any_changed = false;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        bool changed = false;
        const auto update = [&](int count, double& price) {
            const double best = best_price(values.data(), count, n, tile.exact(), lattice, price);
            changed |= best != price;
            price = best;
        };
        for (int i = 0; i < tile.rows(); ++i) {
            for (int j = 0; j < tile.columns(); ++j) values[j] = tile.row(i)[j] - prices.column[j];
            update(tile.columns(), prices.row[i]);
        }
        for (int j = 0; j < tile.columns(); ++j) {
            for (int i = 0; i < tile.rows(); ++i) values[i] = tile.row(i)[j] - prices.row[i];
            update(tile.rows(), prices.column[j]);
        }
        if (!changed) break;
        any_changed = true;
    }
    return any_changed;
}

}  // namespace tnm
