// Balancing a residual network by shortest augmenting paths.
#pragma once

#include <vector>

#include "solvers/exact/residual_network.hpp"

namespace tnm {

// The primal-dual method: each round is one search by Dijkstra's algorithm over the costs, from all
// nodes with units to send to the nearest node that wants one. Prices move by the distances, so
// that no cost becomes negative and the path found costs nothing; units go over it, and over as
// many other paths of arcs of cost zero as a depth-first search finds. Ties, in both searches: a
// node that wants a unit comes first, then the lowest row, then the lowest column.
class ShortestPaths {
  public:
    // Sends units over arcs of cost zero from rows with excess to columns in need, as many as a
    // single greedy pass finds, the ground last. Prices stay.
    void fill_tight_arcs(ResidualNetwork& network);

    // Runs until no node has excess.
    void balance(ResidualNetwork& network);

  private:
    struct Closed {
        int node;
        double distance;
    };

    // A row, and how many more columns it could go to than it has to.
    struct Choice {
        int row, spare;
    };

    void collect_tight_columns(const ResidualNetwork& network, int row);
    void fill_from(ResidualNetwork& network, int row);
    void start(const ResidualNetwork& network);
    int search(const ResidualNetwork& network);
    int nearest(const ResidualNetwork& network) const;
    void close(const ResidualNetwork& network, int node);
    int predecessor(const ResidualNetwork& network, int node, double distance,
                    std::size_t before) const;
    void trace_back(const ResidualNetwork& network, int sink);
    void move_prices(ResidualNetwork& network, double length) const;
    void send_along_path(ResidualNetwork& network) const;
    bool has_tied_nodes(const ResidualNetwork& network, int sink, double length) const;
    void send_over_tight_arcs(ResidualNetwork& network);
    bool find_tight_path(const ResidualNetwork& network, int source);
    int tight_successor(const ResidualNetwork& network, int node);
    template <class Wanted>
    int find_tight_arc(const ResidualNetwork& network, int node, int k, Wanted&& wanted) const;

    std::vector<double> distances_;  // infinity where not reached, or closed
    std::vector<double> search_prices_;
    std::vector<Closed> closed_;
    std::vector<Choice> rows_;
    std::vector<int> sinks_, order_;
    std::vector<int> path_;               // from a source to a sink
    std::vector<unsigned char> visited_;  // on the path, or known to lead nowhere
    std::vector<int> next_position_;      // where to look on from each node
};

}  // namespace tnm
