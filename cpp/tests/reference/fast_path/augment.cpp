#include "reference/fast_path/augment.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tnm::test::naive {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Nodes are the rows, then the columns.
class Search {
  public:
    Search(const Tile& tile, Balance& balance)
        : tile_(tile), balance_(balance), m_(tile.rows), units_(units_of(tile, balance)) {}

    static std::vector<int> units_of(const Tile& tile, const Balance& balance) {
        const int m = tile.rows;
        std::vector<int> units(static_cast<std::size_t>(2 * m));
        for (int i = 0; i < m; ++i) units[static_cast<std::size_t>(i)] = tile.pattern.n;
        for (int j = 0; j < m; ++j) units[static_cast<std::size_t>(m + j)] = -tile.pattern.n;
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < m; ++j) {
                const int kept = balance.kept[static_cast<std::size_t>(i * m + j)];
                units[static_cast<std::size_t>(i)] -= kept;
                units[static_cast<std::size_t>(m + j)] += kept;
            }
        return units;
    }

    bool send_unit() {
        start();
        for (;;) {
            const int node = nearest();
            if (node < 0) return false;
            if (units_[index(node)] < 0) {
                flip_path(node);
                raise_prices(distance_[index(node)]);
                return true;
            }
            closed_[index(node)] = true;
            for (int other = 0; other < m_; ++other) reach(node, node < m_ ? m_ + other : other);
        }
    }

  private:
    static std::size_t index(int node) { return static_cast<std::size_t>(node); }

    std::size_t entry(int node, int other) const {
        return node < m_ ? index(node * m_ + other - m_) : index(other * m_ + node - m_);
    }
    double& price(int node) {
        return node < m_ ? balance_.row_prices[index(node)]
                         : balance_.column_prices[index(node - m_)];
    }

    void start() {
        distance_.assign(units_.size(), kInfinity);
        before_.assign(units_.size(), -1);
        closed_.assign(units_.size(), false);
        for (std::size_t k = 0; k < units_.size(); ++k)
            if (units_[k] > 0) distance_[k] = 0.0;
    }

    int nearest() const {
        int best = -1;
        for (int node = 0; node < 2 * m_; ++node) {
            if (closed_[index(node)] || distance_[index(node)] == kInfinity) continue;
            const bool wants = units_[index(node)] < 0;
            if (best < 0 || distance_[index(node)] < distance_[index(best)] ||
                (distance_[index(node)] == distance_[index(best)] && wants &&
                 units_[index(best)] >= 0))
                best = node;
        }
        return best;
    }

    // From rows over entries that are dropped, from columns over entries that are kept.
    void reach(int node, int other) {
        const std::size_t k = entry(node, other);
        if (closed_[index(other)] || (balance_.kept[k] != 0) == (node < m_)) return;
        const double above = node < m_ ? (tile_.scores[k] - price(node)) - price(other)
                                       : (tile_.scores[k] - price(other)) - price(node);
        const double from = distance_[index(node)];
        const double reached = std::max(from, node < m_ ? from - above : from + above);
        if (reached >= distance_[index(other)]) return;
        distance_[index(other)] = reached;
        before_[index(other)] = node;
    }

    void flip_path(int node) {
        ++units_[index(node)];
        for (; before_[index(node)] >= 0; node = before_[index(node)])
            balance_.kept[entry(node, before_[index(node)])] ^= 1U;
        --units_[index(node)];
    }

    void raise_prices(double length) {
        for (int node = 0; node < 2 * m_; ++node) {
            if (!closed_[index(node)]) continue;
            const double step = length - distance_[index(node)];
            price(node) += node < m_ ? -step : step;
        }
    }

    const Tile& tile_;
    Balance& balance_;
    int m_;
    std::vector<int> units_, before_;
    std::vector<double> distance_;
    std::vector<bool> closed_;
};

}  // namespace

int Balance::missing(const Tile& tile) const {
    int missing = 0;
    for (const int units : Search::units_of(tile, *this)) missing += std::max(0, units);
    return missing;
}

void augment(const Tile& tile, Balance& balance) {
    Search search(tile, balance);
    for (int missing = balance.missing(tile); missing > 0; --missing) search.send_unit();
}

double worst_violation(const Tile& tile, const Balance& balance) {
    double worst = 0.0;
    for (int i = 0; i < tile.rows; ++i)
        for (int j = 0; j < tile.columns; ++j) {
            const double above = (tile(i, j) - balance.row_prices[static_cast<std::size_t>(i)]) -
                                 balance.column_prices[static_cast<std::size_t>(j)];
            const bool kept = balance.kept[static_cast<std::size_t>(i * tile.columns + j)];
            worst = std::max(worst, kept ? -above : above);
        }
    return worst;
}

}  // namespace tnm::test::naive
