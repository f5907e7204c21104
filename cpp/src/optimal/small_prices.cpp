#include "optimal/small_prices.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tnm {
namespace {

constexpr int kSweeps = 8;

struct Extent {
    double least, largest;

    Extent(const double* values, int count)
        : least(*std::min_element(values, values + count)),
          largest(*std::max_element(values, values + count)) {}
    double middle() const { return (least + largest) / 2; }
    double magnitude() const { return std::max(std::fabs(least), std::fabs(largest)); }
};

bool all_finite(const TilePrices& prices, int size) {
    const double largest = std::max(Extent(prices.row.data(), size).magnitude(),
                                    Extent(prices.column.data(), size).magnitude());
    return std::isfinite(std::ldexp(largest, prices.exponent));
}

// What a price may be: not above any kept entry, not below any dropped one, less the other price.
class Range {
  public:
    void add(double value, bool kept) {
        if (kept)
            high_ = std::min(high_, value);
        else
            low_ = std::max(low_, value);
    }
    double middle() const { return low_ + (high_ - low_) / 2; }

  private:
    double low_ = -std::numeric_limits<double>::infinity();
    double high_ = std::numeric_limits<double>::infinity();
};

void move_to_middle(const ScaledTile& tile, const TileMask& mask, TilePrices& prices) {
    const int size = tile.rows();
    for (int i = 0; i < size; ++i) {
        Range range;
        for (int j = 0; j < size; ++j)
            range.add(tile.row(i)[j] - prices.column[j], mask.test(i, j));
        prices.row[i] = range.middle();
    }
    for (int j = 0; j < size; ++j) {
        Range range;
        for (int i = 0; i < size; ++i) range.add(tile.row(i)[j] - prices.row[i], mask.test(i, j));
        prices.column[j] = range.middle();
    }
}

void even_out(TilePrices& prices, int size) {
    const double rows = Extent(prices.row.data(), size).middle();
    const double columns = Extent(prices.column.data(), size).middle();
    const double shift = (columns - rows) / 2;
    for (int k = 0; k < size; ++k) {
        prices.row[k] += shift;
        prices.column[k] -= shift;
    }
}

}  // namespace

void keep_prices_finite(const ScaledTile& tile, const TileMask& mask, TilePrices& prices) {
    for (int sweep = 0; sweep < kSweeps && !all_finite(prices, tile.rows()); ++sweep) {
        if (sweep > 0) move_to_middle(tile, mask, prices);
        even_out(prices, tile.rows());
    }
}

}  // namespace tnm
