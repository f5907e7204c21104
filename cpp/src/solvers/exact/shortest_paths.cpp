#include "solvers/exact/shortest_paths.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#define TNM_ISA baseline
#include "simd/vectors-inl.hpp"

namespace tnm {
namespace {

using namespace baseline;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Rounding may leave a cost a hair below zero; distances must not decrease along a path.
double extended(double distance, double weight, double price, double opposite_price) {
    return std::max(distance, distance + (weight + (price - opposite_price)));
}

static_assert(ResidualNetwork::kBlock == 2 * kLanes<Doublex2>);

// `count` is a multiple of two blocks. The compiler may not reorder a minimum by itself.
double least_of(const double* values, int count) {
    Doublex2 a = load<Doublex2>(values), b = load<Doublex2>(values + 2),
             c = load<Doublex2>(values + 4), d = load<Doublex2>(values + 6);
    for (int k = 8; k < count; k += 8) {
        a = minimum(a, load<Doublex2>(values + k));
        b = minimum(b, load<Doublex2>(values + k + 2));
        c = minimum(c, load<Doublex2>(values + k + 4));
        d = minimum(d, load<Doublex2>(values + k + 6));
    }
    const Doublex2 least = minimum(minimum(a, b), minimum(c, d));
    return std::min(least[0], least[1]);
}

// One of them is equal.
int first_equal(const double* values, double wanted) {
    const Doublex2 all = splat<Doublex2>(wanted);
    int k = 0;
    while (!any_set((load<Doublex2>(values + k) == all) | (load<Doublex2>(values + k + 2) == all)))
        k += 4;
    while (values[k] != wanted) ++k;
    return k;
}

}  // namespace

// Columns in need that an arc of cost zero leads to, into `order_`.
void ShortestPaths::collect_tight_columns(const ResidualNetwork& network, int row) {
    const int side = network.side();
    const double* weights = network.weights(row);
    const double price = network.prices()[row];
    order_.clear();
    for (int column = side; column < 2 * side; ++column)
        if (weights[column - side] + (price - network.prices()[column]) == 0.0 &&
            network.excess(column) < 0)
            order_.push_back(column);
}

void ShortestPaths::fill_from(ResidualNetwork& network, int row) {
    collect_tight_columns(network, row);
    // The neediest columns first, so that rows that come later still find room.
    std::sort(order_.begin(), order_.end(), [&](int a, int b) {
        return std::tuple(network.is_ground(a), network.excess(a), a) <
               std::tuple(network.is_ground(b), network.excess(b), b);
    });
    for (const int column : order_) {
        const int units =
            std::min({network.excess(row), -network.excess(column), network.capacity(row, column)});
        if (units == 0) break;
        network.push(row, column, units);
    }
}

void ShortestPaths::fill_tight_arcs(ResidualNetwork& network) {
    rows_.clear();
    for (int node = 0; node < network.side(); ++node) {
        if (network.excess(node) <= 0) continue;
        collect_tight_columns(network, node);
        if (order_.empty()) continue;
        rows_.push_back({node, static_cast<int>(order_.size()) - network.excess(node)});
    }
    // Rows with little choice first, the ground last.
    std::sort(rows_.begin(), rows_.end(), [&](const Choice& a, const Choice& b) {
        return std::tuple(network.is_ground(a.row), a.spare, a.row) <
               std::tuple(network.is_ground(b.row), b.spare, b.row);
    });
    for (const Choice& choice : rows_) fill_from(network, choice.row);
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
    const double least = least_of(distances_.data(), network.nodes());
    if (least == kInfinity) return -1;
    for (const int sink : sinks_)
        if (distances_[sink] == least) return sink;
    return first_equal(distances_.data(), least);
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

// Fills `path_` from a source to the sink that the search has reached.
void ShortestPaths::trace_back(const ResidualNetwork& network, int sink) {
    int node = sink;
    double distance = distances_[sink];
    std::size_t before = closed_.size();
    path_.clear();
    path_.push_back(sink);
    while (network.excess(node) <= 0) {
        const int c = predecessor(network, node, distance, before);
        node = closed_[c].node;
        distance = closed_[c].distance;
        before = static_cast<std::size_t>(c);
        path_.push_back(node);
    }
    std::reverse(path_.begin(), path_.end());
}

void ShortestPaths::move_prices(ResidualNetwork& network, double length) const {
    for (const auto& [node, distance] : closed_) network.prices()[node] -= length - distance;
}

void ShortestPaths::send_along_path(ResidualNetwork& network) const {
    int units = std::min(network.excess(path_.front()), -network.excess(path_.back()));
    for (std::size_t k = 1; k < path_.size(); ++k)
        units = std::min(units, network.capacity(path_[k - 1], path_[k]));
    for (std::size_t k = 1; k < path_.size(); ++k) network.push(path_[k - 1], path_[k], units);
}

// Whether arcs of cost zero may lead to anywhere but the sink just served: to a node at the same
// distance. Without ties they never do, and looking for such paths would be in vain.
bool ShortestPaths::has_tied_nodes(const ResidualNetwork& network, int sink, double length) const {
    if (network.excess(sink) < 0) return true;
    for (int node = 0; node < network.nodes(); ++node)
        if (distances_[node] <= length && node != sink) return true;
    return false;
}

// The first node, from position `k` of the other side on, that `wanted` accepts among those that an
// arc of cost zero leads to; -1 if there is none. Rounding may leave such a cost a hair below zero.
template <class Wanted>
int ShortestPaths::find_tight_arc(const ResidualNetwork& network, int node, int k,
                                  Wanted&& wanted) const {
    const int first = network.first_opposite(node), side = network.side();
    const double* weights = network.weights(node);
    const double* opposite_prices = network.prices() + first;
    const Doublex2 price = splat<Doublex2>(network.prices()[node]);
    const auto tight = [&](int at) {
        return load<Doublex2>(weights + at) + (price - load<Doublex2>(opposite_prices + at)) <= 0.0;
    };
    for (k = k / ResidualNetwork::kBlock * ResidualNetwork::kBlock; k < side; k += 4) {
        const auto lower = tight(k), upper = tight(k + 2);
        if (!any_set(lower | upper)) continue;
        if (lower[0] && wanted(first + k)) return first + k;
        if (lower[1] && wanted(first + k + 1)) return first + k + 1;
        if (upper[0] && wanted(first + k + 2)) return first + k + 2;
        if (upper[1] && wanted(first + k + 3)) return first + k + 3;
    }
    return -1;
}

// Where to go on from `node`, or -1. Nodes only become visited during one search, so that the next
// time the search comes back here it can go on where it stopped.
int ShortestPaths::tight_successor(const ResidualNetwork& network, int node) {
    int& next = next_position_[node];
    if (next == 0) {
        const int sink =
            find_tight_arc(network, node, 0, [&](int other) { return network.excess(other) < 0; });
        if (sink >= 0) return sink;
    }
    const int found =
        find_tight_arc(network, node, next, [&](int other) { return !visited_[other]; });
    next = found < 0 ? network.side() : found % network.side() + 1;
    return found;
}

// Depth first. A node that leads nowhere stays visited for the rest of the round.
bool ShortestPaths::find_tight_path(const ResidualNetwork& network, int source) {
    path_.assign(1, source);
    visited_[source] = 1;
    next_position_.assign(network.nodes(), 0);
    while (!path_.empty()) {
        const int node = tight_successor(network, path_.back());
        if (node < 0) {
            path_.pop_back();
            continue;
        }
        path_.push_back(node);
        if (network.excess(node) < 0) return true;
        visited_[node] = 1;
    }
    return false;
}

void ShortestPaths::send_over_tight_arcs(ResidualNetwork& network) {
    visited_.assign(network.nodes(), 0);
    for (int source = 0; source < network.nodes(); ++source) {
        while (network.excess(source) > 0 && find_tight_path(network, source)) {
            send_along_path(network);
            for (const int node : path_) visited_[node] = 0;
        }
    }
}

void ShortestPaths::balance(ResidualNetwork& network) {
    for (;;) {
        start(network);
        if (sinks_.empty()) return;
        const int sink = search(network);
        if (sink < 0) return;
        const double length = distances_[sink];
        trace_back(network, sink);
        move_prices(network, length);
        send_along_path(network);
        if (has_tied_nodes(network, sink, length)) send_over_tight_arcs(network);
    }
}

}  // namespace tnm
