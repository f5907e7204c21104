// The flow problem of one tile, with prices and a flow that satisfy complementary slackness.
//
// Nodes are rows and columns. A row sends one unit over (i, j) for each entry that it keeps; row i
// should send n units and column j receive n. Dropped entries are residual arcs row -> column,
// kept ones column -> row. Stored so that both directions are the same code: for node a and node b
// of the opposite side, cost(a -> b) = weight(a)[b] + price(a) - price(b), where
//     price = u_i of a row, -v_j of a column,   weight = -s_ij from a row, +s_ij from a column,
// and infinity where there is no residual arc. Complementary slackness says: no cost is negative.
//
// "At most n" (edge tiles) adds one ground row and one ground column, joined by free arcs of any
// capacity: row i may send any of its n units to the ground, column j receive any of its n units
// from there. The ground's price is the zero that the prices u, v >= 0 are measured from. Entries
// whose score is not positive have no arcs: they are never kept.
#pragma once

#include <vector>

#include "solvers/exact/scaled_tile.hpp"
#include "tiles/tile.hpp"

namespace tnm {

class ResidualNetwork {
  public:
    // side() is a multiple of this, for loops that take several nodes at once.
    static constexpr int kBlock = 4;

    // Starts from the entries whose score exceeds the two prices, and with nothing on the ground's
    // arcs.
    void build(const ScaledTile& tile, const TilePrices& prices);

    // Nodes of one side are numbered from 0, columns from side() on; beyond rows() or columns()
    // come the ground and padding, which has no arcs.
    int side() const { return side_; }
    int nodes() const { return 2 * side_; }
    bool is_row(int node) const { return node < side_; }
    bool is_ground(int node) const {
        return !exact_ && (node == rows_ || node == side_ + columns_);
    }
    int first_opposite(int node) const { return is_row(node) ? side_ : 0; }

    const double* weights(int node) const {
        return weights_.data() + static_cast<std::ptrdiff_t>(node) * side_;
    }
    double* prices() { return prices_.data(); }
    const double* prices() const { return prices_.data(); }

    // Units that must leave a node (positive) or come to it (negative).
    int excess(int node) const { return excess_[node]; }

    // Units that the residual arc can take.
    int capacity(int from, int to) const;
    // Sends units over the residual arc.
    void push(int from, int to, int units);

    bool keeps(int row, int column) const { return flow_[index(row, column)] != 0; }
    void read_mask(TileMask& mask) const;
    void read_prices(TilePrices& prices) const;

  private:
    int index(int row, int column) const { return row * side_ + column; }
    bool in_tile(int row, int column) const { return row < rows_ && column < columns_; }
    void start_nodes(const TilePrices& prices);
    void start_row(int row, const TilePrices& prices);
    void start_columns();
    void start_ground();
    void set_arcs(int row, int column);

    int rows_ = 0, columns_ = 0, n_ = 0, side_ = 0;
    bool exact_ = true;
    const ScaledTile* tile_ = nullptr;
    std::vector<double> weights_, prices_;
    std::vector<int> flow_, excess_;
};

}  // namespace tnm
