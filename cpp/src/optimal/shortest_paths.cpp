#include "optimal/shortest_paths.hpp"

#include <algorithm>
#include <limits>

namespace tnm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Rounding may leave a cost a hair below zero; distances must not decrease along a path.
double extended(double distance, double weight, double price, double opposite_price) {
    return std::max(distance, distance + (weight + (price - opposite_price)));
}

}  // namespace

void ShortestPaths::fill_tight_arcs(ResidualNetwork& network) {
    const int side = network.side();
    const double* prices = network.prices();
    for (int row = 0; row < side; ++row) {
        if (network.excess(row) <= 0) continue;
        const double* weights = network.weights(row);
        order_.clear();
        for (int column = side; column < 2 * side; ++column)
            if (network.excess(column) < 0 &&
                weights[column - side] + (prices[row] - prices[column]) == 0.0)
                order_.push_back(column);
        // The neediest columns first, so that rows that come later still find room.
        std::stable_sort(order_.begin(), order_.end(),
                         [&](int a, int b) { return network.excess(a) < network.excess(b); });
        for (const int column : order_) {
            if (network.excess(row) == 0) break;
            network.push(row, column);
        }
    }
}

void ShortestPaths::start(const ResidualNetwork& network) {
    const int nodes = network.nodes();
    distances_.assign(nodes, kInfinity);
    search_prices_.assign(network.prices(), network.prices() + nodes);
    closed_.clear();
    sinks_.clear();
    for (int node = 0; node < nodes; ++node) {
        if (network.excess(node) > 0) distances_[node] = 0.0;
        if (network.excess(node) < 0) sinks_.push_back(node);
    }
}

int ShortestPaths::nearest(const ResidualNetwork& network) const {
    double least = kInfinity;
    for (int node = 0; node < network.nodes(); ++node) least = std::min(least, distances_[node]);
    if (least == kInfinity) return -1;
    for (const int sink : sinks_)
        if (distances_[sink] == least) return sink;
    return static_cast<int>(std::find(distances_.begin(), distances_.end(), least) -
                            distances_.begin());
}

void ShortestPaths::close(const ResidualNetwork& network, int node) {
    const double distance = distances_[node];
    closed_.push_back({node, distance});
    distances_[node] = kInfinity;
    // An infinitely low price makes every arc into the node infinitely long: it is never reopened.
    search_prices_[node] = -kInfinity;

    const int side = network.side();
    const int first = network.first_opposite(node);
    const double price = network.prices()[node];
    const double* weights = network.weights(node);
    const double* opposite_prices = search_prices_.data() + first;
    double* opposite_distances = distances_.data() + first;
    for (int k = 0; k < side; ++k)
        opposite_distances[k] = std::min(opposite_distances[k],
                                         extended(distance, weights[k], price, opposite_prices[k]));
}

int ShortestPaths::search(const ResidualNetwork& network) {
    for (;;) {
        const int node = nearest(network);
        if (node < 0 || network.excess(node) < 0) return node;
        close(network, node);
    }
}

// The earliest closed node that the distance of `node` came from.
int ShortestPaths::predecessor(const ResidualNetwork& network, int node, double distance,
                               std::size_t before) const {
    const int side = network.side();
    const int position = node % side;
    const double* prices = network.prices();
    for (std::size_t c = 0; c < before; ++c) {
        const auto [from, from_distance] = closed_[c];
        if (network.is_row(from) == network.is_row(node)) continue;
        const double weight = network.weights(from)[position];
        if (extended(from_distance, weight, prices[from], prices[node]) == distance)
            return static_cast<int>(c);
    }
    return -1;
}

void ShortestPaths::augment(ResidualNetwork& network, int sink) {
    const double length = distances_[sink];
    int node = sink;
    double distance = length;
    std::size_t before = closed_.size();
    order_.clear();
    order_.push_back(sink);
    while (network.excess(node) <= 0) {
        const int c = predecessor(network, node, distance, before);
        node = closed_[c].node;
        distance = closed_[c].distance;
        before = static_cast<std::size_t>(c);
        order_.push_back(node);
    }
    for (const auto& [closed, closed_distance] : closed_)
        network.prices()[closed] -= length - closed_distance;
    for (std::size_t k = order_.size() - 1; k > 0; --k) network.push(order_[k], order_[k - 1]);
}

void ShortestPaths::balance(ResidualNetwork& network) {
    for (;;) {
        start(network);
        if (sinks_.empty()) return;
        const int sink = search(network);
        if (sink < 0) return;
        augment(network, sink);
    }
}

}  // namespace tnm
