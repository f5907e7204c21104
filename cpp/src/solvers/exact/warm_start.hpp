// Dual prices to start from, by coordinate descent.
//
// Given column prices v, the dual objective is smallest in u_i anywhere between the n-th and the
// (n+1)-th largest of s_ij - v_j; the midpoint is taken, then columns and rows change places
// (Hubara et al. 2021 state the program; the descent is exact in each block of coordinates).
// The descent runs on 16-bit integers. It only proposes prices: whatever it rounds away, the
// augmenting paths that follow put right.
#pragma once

#include <cstdint>
#include <vector>

#include "solvers/exact/scaled_tile.hpp"

namespace tnm {

class WarmStart {
  public:
    // Writes rows() row prices and columns() column prices in the tile's scaled units. On tiles of
    // "at most n" they are not negative. If all scores are multiples of some 2^k that 16 bits can
    // show, so are the prices, and equal scores stay exact ties.
    void propose(const ScaledTile& tile, TilePrices& prices);

  private:
    // Half of the problem: what one side's prices are computed from. `values` holds one line of
    // `lanes` scores for each member of the other side.
    struct Side {
        std::vector<std::int16_t> values;
        std::vector<std::int16_t> prices;
        int size = 0;
        int lanes = 0;

        std::int16_t* line(int k) { return values.data() + static_cast<std::ptrdiff_t>(k) * lanes; }
    };

    void quantize(const ScaledTile& tile);
    void start_from_column_means();
    template <class Choose>
    void update(Side& side, const Side& other, const Choose& choose);
    void update_midpoints(Side& side, const Side& other, int relaxation);
    void update_to_nth(Side& side, const Side& other);
    std::int16_t on_lattice(std::int16_t price) const {
        return static_cast<std::int16_t>(price >> lattice_ << lattice_);
    }

    Side rows_, columns_;
    int n_ = 0;
    bool exact_ = true;
    // log2 of the lattice that all quantised scores lie on; negative if quantisation rounded any.
    int lattice_ = -1;
};

}  // namespace tnm
