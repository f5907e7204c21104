// Balancing a residual network by shortest augmenting paths.
#pragma once

#include <vector>

#include "optimal/residual_network.hpp"

namespace tnm {

// Successive shortest paths with potentials: each round is one search by Dijkstra's algorithm over
// the costs, from all nodes with units to send to the nearest node that wants one; prices move by
// the distances so that no cost becomes negative. Ties: a node that wants a unit comes first, then
// the lowest row, then the lowest column.
class ShortestPaths {
  public:
    // Sends units over arcs of cost zero from rows with excess to columns in need, as many as a
    // single greedy pass finds. Prices stay.
    void fill_tight_arcs(ResidualNetwork& network);

    // Runs until no node has excess.
    void balance(ResidualNetwork& network);

  private:
    struct Closed {
        int node;
        double distance;
    };

    void start(const ResidualNetwork& network);
    int search(const ResidualNetwork& network);
    int nearest(const ResidualNetwork& network) const;
    void close(const ResidualNetwork& network, int node);
    int predecessor(const ResidualNetwork& network, int node, double distance,
                    std::size_t before) const;
    void augment(ResidualNetwork& network, int sink);

    std::vector<double> distances_;  // infinity where not reached, or closed
    std::vector<double> search_prices_;
    std::vector<Closed> closed_;
    std::vector<int> sinks_, order_;
};

}  // namespace tnm
