#include "solvers/exact/residual_network.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tnm {
namespace {

constexpr double kNoArc = std::numeric_limits<double>::infinity();
constexpr int kUnbounded = std::numeric_limits<int>::max();
// Sides are padded to whole blocks.
constexpr int kPadding = ResidualNetwork::kBlock;

}  // namespace

void ResidualNetwork::build(const ScaledTile& tile, const TilePrices& prices) {
    tile_ = &tile;
    rows_ = tile.rows();
    columns_ = tile.columns();
    n_ = tile.n();
    exact_ = tile.exact();
    const int ground = exact_ ? 0 : 1;
    side_ = (std::max(rows_, columns_) + ground + kPadding - 1) / kPadding * kPadding;
    weights_.assign(static_cast<std::size_t>(2) * side_ * side_, kNoArc);
    flow_.assign(static_cast<std::size_t>(side_) * side_, 0);
    start_nodes(prices);
    for (int i = 0; i < rows_; ++i) start_row(i, prices);
    start_columns();
    if (!exact_) start_ground();
}

void ResidualNetwork::start_nodes(const TilePrices& prices) {
    prices_.assign(nodes(), 0.0);
    excess_.assign(nodes(), 0);
    for (int i = 0; i < rows_; ++i) {
        prices_[i] = prices.row[i];
        excess_[i] = n_;
    }
    for (int j = 0; j < columns_; ++j) {
        prices_[side_ + j] = -prices.column[j];
        excess_[side_ + j] = -n_;
    }
}

void ResidualNetwork::start_row(int row, const TilePrices& prices) {
    const double* scores = tile_->row(row);
    const double price = prices_[row];
    const double* column_prices = prices.column.data();
    double* weights = weights_.data() + static_cast<std::ptrdiff_t>(row) * side_;
    int* flow = flow_.data() + index(row, 0);
    int* column_excess = excess_.data() + side_;
    int kept_in_row = 0;
    for (int j = 0; j < columns_; ++j) {
        const int kept = scores[j] - price - column_prices[j] > 0.0 ? 1 : 0;
        const bool dropped = kept == 0 && (exact_ || scores[j] > 0.0);
        flow[j] = kept;
        weights[j] = dropped ? -scores[j] : kNoArc;
        column_excess[j] += kept;
        kept_in_row += kept;
    }
    excess_[row] -= kept_in_row;
}

// Several rows at a time, so that what a column gets lies side by side.
void ResidualNetwork::start_columns() {
    constexpr int kRows = 8;
    for (int first = 0; first < rows_; first += kRows) {
        const int last = std::min(rows_, first + kRows);
        for (int j = 0; j < columns_; ++j) {
            double* weights = weights_.data() + static_cast<std::ptrdiff_t>(side_ + j) * side_;
            for (int i = first; i < last; ++i) weights[i] = keeps(i, j) ? tile_->row(i)[j] : kNoArc;
        }
    }
}

// The ground absorbs what rows need not send and provides what columns need not receive.
void ResidualNetwork::start_ground() {
    excess_[rows_] = n_ * columns_;
    excess_[side_ + columns_] = -n_ * rows_;
    for (int i = 0; i < rows_; ++i) set_arcs(i, columns_);
    for (int j = 0; j <= columns_; ++j) set_arcs(rows_, j);
}

void ResidualNetwork::set_arcs(int row, int column) {
    const bool within = in_tile(row, column);
    const double score = within ? tile_->row(row)[column] : 0.0;
    const int flow = flow_[index(row, column)];
    weights_[static_cast<std::size_t>(row) * side_ + column] = within && flow > 0 ? kNoArc : -score;
    weights_[static_cast<std::size_t>(side_ + column) * side_ + row] = flow > 0 ? score : kNoArc;
}

int ResidualNetwork::capacity(int from, int to) const {
    const bool forward = is_row(from);
    const int row = forward ? from : to;
    const int column = (forward ? to : from) - side_;
    const int flow = flow_[index(row, column)];
    if (!forward) return flow;
    return in_tile(row, column) ? 1 - flow : kUnbounded;
}

void ResidualNetwork::push(int from, int to, int units) {
    const bool forward = is_row(from);
    const int row = forward ? from : to;
    const int column = (forward ? to : from) - side_;
    flow_[index(row, column)] += forward ? units : -units;
    excess_[from] -= units;
    excess_[to] += units;
    set_arcs(row, column);
}

void ResidualNetwork::read_mask(TileMask& mask) const {
    constexpr int kWordBits = 64;
    for (int i = 0; i < rows_; ++i)
        for (int w = 0; w < TileMask::kWords; ++w) {
            const int first = w * kWordBits, last = std::min(columns_, first + kWordBits);
            std::uint64_t word = 0;
            for (int j = first; j < last; ++j)
                word |= static_cast<std::uint64_t>(keeps(i, j)) << (j - first);
            mask.set_word(i, w, word);
        }
}

void ResidualNetwork::read_prices(TilePrices& prices) const {
    const double ground = exact_ ? 0.0 : prices_[rows_];
    // Rounding may leave a price of zero a hair below it; only above is it a bound.
    const double least = exact_ ? -kNoArc : 0.0;
    for (int i = 0; i < rows_; ++i) prices.row[i] = std::max(least, prices_[i] - ground);
    for (int j = 0; j < columns_; ++j)
        prices.column[j] = std::max(least, ground - prices_[side_ + j]);
}

}  // namespace tnm
