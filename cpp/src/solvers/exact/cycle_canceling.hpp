// The last step for tiles that keep next to nothing of the magnitude that they drop.
//
// Searches and prices are exact to about 2^-50 of a tile's largest magnitude. With scores below
// zero, all that is kept may be lighter than that: 1:2 of -1e-17 and -1 keeps two of the former.
// Then the mask has to be put right at the scale of what is kept, and the prices with it.
#pragma once

#include <vector>

#include "solvers/exact/residual_network.hpp"

namespace tnm {

// Whether a solver that works at the scale of the largest magnitude must hand the tile over.
// `kept_magnitude` sums |score| over the kept entries, `largest_magnitude` is that of any entry of
// the tile, both in the same unit. Never so if no score is negative. (Where large positive scores
// have to be dropped as well, the mask is put right, but no doubles can be prices that prove it.)
bool needs_cycle_canceling(double kept_magnitude, double largest_magnitude);

class CycleCanceling {
  public:
    // For a balanced network: cancels residual cycles of negative cost and finds prices afresh,
    // from zero, by the Bellman-Ford algorithm. Heavy dropped entries never take part, so that
    // every sum is of the scale of what is kept.
    void run(ResidualNetwork& network);

  private:
    bool relax(ResidualNetwork& network);
    void relax_from(ResidualNetwork& network, int node);
    bool cancel_cycles(ResidualNetwork& network);
    bool cancel_cycle(ResidualNetwork& network, int node);
    void start(ResidualNetwork& network);

    std::vector<int> predecessors_;   // -1: none
    std::vector<unsigned char> due_;  // the price has fallen since it was last passed on
    std::vector<int> seen_by_;        // the walk that met the node last, -1: none
};

}  // namespace tnm
