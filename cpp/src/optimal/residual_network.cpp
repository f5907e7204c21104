#include "optimal/residual_network.hpp"

#include <algorithm>
#include <limits>

namespace tnm {
namespace {

constexpr double kNoArc = std::numeric_limits<double>::infinity();
// Rows of weights are padded to whole vectors.
constexpr int kPadding = 4;

}  // namespace

void ResidualNetwork::build(const ScaledTile& tile, const double* row_prices,
                            const double* column_prices) {
    tile_ = &tile;
    rows_ = tile.rows();
    columns_ = tile.columns();
    n_ = tile.n();
    exact_ = tile.exact();
    const int ground = exact_ ? 0 : 1;
    side_ = (std::max(rows_, columns_) + ground + kPadding - 1) / kPadding * kPadding;
    weights_.assign(static_cast<std::size_t>(2) * side_ * side_, kNoArc);
    prices_.assign(nodes(), 0.0);
    flow_.assign(static_cast<std::size_t>(side_) * side_, 0);
    excess_.assign(nodes(), 0);

    for (int i = 0; i < rows_; ++i) {
        prices_[i] = row_prices[i];
        excess_[i] = n_;
    }
    for (int j = 0; j < columns_; ++j) {
        prices_[side_ + j] = -column_prices[j];
        excess_[side_ + j] = -n_;
    }
    for (int i = 0; i < rows_; ++i) {
        const double* scores = tile.row(i);
        for (int j = 0; j < columns_; ++j) {
            const int kept = scores[j] - row_prices[i] - column_prices[j] > 0.0 ? 1 : 0;
            flow_[index(i, j)] = kept;
            excess_[i] -= kept;
            excess_[side_ + j] += kept;
            weights_[static_cast<std::size_t>(i) * side_ + j] = kept ? kNoArc : -scores[j];
            weights_[static_cast<std::size_t>(side_ + j) * side_ + i] = kept ? scores[j] : kNoArc;
        }
    }
    if (!exact_) connect_ground();
}

void ResidualNetwork::connect_ground() {
    const int ground_row = rows_, ground_column = side_ + columns_;
    // The ground absorbs what rows may send and provides what columns may receive.
    excess_[ground_row] = n_ * columns_;
    excess_[ground_column] = -n_ * rows_;
    for (int i = 0; i < rows_; ++i) {
        // Only a row of price zero may leave units unsent (complementary slackness).
        const int units = prices_[i] == 0.0 ? std::max(0, excess_[i]) : 0;
        flow_[index(i, columns_)] = units;
        excess_[i] -= units;
        excess_[ground_column] += units;
        set_arcs(i, columns_);
    }
    for (int j = 0; j < columns_; ++j) {
        const int units = prices_[side_ + j] == 0.0 ? std::max(0, -excess_[side_ + j]) : 0;
        flow_[index(rows_, j)] = units;
        excess_[side_ + j] += units;
        excess_[ground_row] -= units;
        set_arcs(rows_, j);
    }
    const int through = std::max(0, excess_[ground_row]);
    flow_[index(rows_, columns_)] = through;
    excess_[ground_row] -= through;
    excess_[ground_column] += through;
    set_arcs(rows_, columns_);
}

int ResidualNetwork::units_per_arc(int row, int column) const {
    const bool within_tile = row < rows_ && column < columns_;
    return within_tile ? 1 : std::numeric_limits<int>::max();
}

void ResidualNetwork::set_arcs(int row, int column) {
    const bool within_tile = row < rows_ && column < columns_;
    const double score = within_tile ? tile_->row(row)[column] : 0.0;
    const int flow = flow_[index(row, column)];
    weights_[static_cast<std::size_t>(row) * side_ + column] =
        flow < units_per_arc(row, column) ? -score : kNoArc;
    weights_[static_cast<std::size_t>(side_ + column) * side_ + row] = flow > 0 ? score : kNoArc;
}

void ResidualNetwork::push(int from, int to) {
    const bool forward = is_row(from);
    const int row = forward ? from : to;
    const int column = (forward ? to : from) - side_;
    flow_[index(row, column)] += forward ? 1 : -1;
    excess_[from] -= 1;
    excess_[to] += 1;
    set_arcs(row, column);
}

void ResidualNetwork::read_mask(TileMask& mask) const {
    mask.reset(rows_);
    for (int i = 0; i < rows_; ++i)
        for (int j = 0; j < columns_; ++j)
            if (keeps(i, j)) mask.set(i, j);
}

void ResidualNetwork::read_prices(double* row_prices, double* column_prices) const {
    const double ground = exact_ ? 0.0 : prices_[rows_];
    for (int i = 0; i < rows_; ++i) row_prices[i] = prices_[i] - ground;
    for (int j = 0; j < columns_; ++j) column_prices[j] = ground - prices_[side_ + j];
}

}  // namespace tnm
