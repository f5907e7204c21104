#include "solvers/exact/cycle_canceling.hpp"

#include <algorithm>
#include <cmath>

#include "proof/compensated_sum.hpp"

namespace tnm {

bool needs_cycle_canceling(double kept_magnitude, double largest_magnitude) {
    return kept_magnitude < std::ldexp(largest_magnitude, -20);
}

void CycleCanceling::start(ResidualNetwork& network) {
    std::fill(network.prices(), network.prices() + network.nodes(), 0.0);
    predecessors_.assign(network.nodes(), -1);
    due_.assign(network.nodes(), 1);
}

void CycleCanceling::relax_from(ResidualNetwork& network, int node) {
    const int first = network.first_opposite(node);
    const double* weights = network.weights(node);
    double* opposite_prices = network.prices() + first;
    const double price = network.prices()[node];
    for (int k = 0; k < network.side(); ++k) {
        const double reached = price + weights[k];
        if (!(reached < opposite_prices[k])) continue;
        opposite_prices[k] = reached;
        predecessors_[first + k] = node;
        due_[first + k] = 1;
    }
}

bool CycleCanceling::relax(ResidualNetwork& network) {
    bool changed = false;
    for (int node = 0; node < network.nodes(); ++node) {
        if (!due_[node]) continue;
        due_[node] = 0;
        relax_from(network, node);
        changed = true;
    }
    return changed;
}

// The cycle of predecessors that `node` lies on.
bool CycleCanceling::cancel_cycle(ResidualNetwork& network, int node) {
    CompensatedSum cost;
    int to = node;
    do {
        const int from = predecessors_[to];
        cost.add(network.weights(from)[to % network.side()]);
        to = from;
    } while (to != node);
    // Rounding closes cycles, too, whose cost is not negative at all.
    if (!(cost.value() < 0.0)) return false;
    do {
        const int from = predecessors_[to];
        network.push(from, to, 1);
        to = from;
    } while (to != node);
    return true;
}

// Predecessors form a cycle only where one of negative cost exists.
bool CycleCanceling::cancel_cycles(ResidualNetwork& network) {
    bool cancelled = false;
    seen_by_.assign(network.nodes(), -1);
    for (int walk = 0; walk < network.nodes(); ++walk) {
        int node = walk;
        while (node >= 0 && seen_by_[node] < 0) {
            seen_by_[node] = walk;
            node = predecessors_[node];
        }
        if (node >= 0 && seen_by_[node] == walk) cancelled |= cancel_cycle(network, node);
    }
    return cancelled;
}

void CycleCanceling::run(ResidualNetwork& network) {
    // Every cancelled cycle is worth something, so this ends; how soon, nobody knows.
    int cancellations_left = 4 * network.nodes();
    start(network);
    for (int round = 0; round < network.nodes() && relax(network); ++round) {
        if (cancellations_left == 0 || !cancel_cycles(network)) continue;
        --cancellations_left;
        start(network);
        round = 0;
    }
}

}  // namespace tnm
