// Shortest augmenting paths for one tile of a strip.
//
// The same search as optimal/shortest_paths.hpp (Dijkstra on reduced costs from all nodes with
// units to send, nearest first; ties: a node that wants a unit, then the lowest row, then the
// lowest column), but nothing is built: reduced costs are computed from scores and prices where
// they are needed, in double, and arcs are bits. No predecessors are stored; a path is traced back
// by asking which closed node gives exactly the distance found.
#pragma once

#include "strip/lanes.hpp"
#include "strip/strip.hpp"
#include "strip/threshold.hpp"

namespace tnm::TNM_ISA {

inline constexpr double kInfinity = __builtin_inf();

template <int kW, class T>
class TileAugmenter {
  public:
    // `scores` points at the tile's first entry in the strip. The caller then sets every row and
    // column, and calls count_excess().
    void begin(const T* scores, Pattern pattern) {
        scores_ = scores;
        m_ = pattern.m;
        n_ = pattern.n;
        for (int k = m_; k < kSide; ++k) {
            kept_[k] = 0;
            row_price_[k] = column_price_[k] = 0.0;
        }
    }

    void set_row(int i, std::uint64_t kept, double price) {
        kept_[i] = kept;
        row_price_[i] = price;
    }
    void set_column(int j, int count, double price) {
        excess_[kSide + j] = static_cast<std::int16_t>(count - n_);
        column_price_[j] = price;
    }
    void count_excess() {
        for (int i = 0; i < m_; ++i)
            excess_[i] = static_cast<std::int16_t>(n_ - popcount(kept_[i]));
        for (int k = m_; k < kSide; ++k) excess_[k] = excess_[kSide + k] = 0;
        for (int node = 0; node < kNodes; ++node) {
            if (excess_[node] == 0) continue;
            if (excess_[node] > 0) {
                sources_[source_count_++] = static_cast<std::int16_t>(node);
                missing_ += excess_[node];
            } else {
                sinks_[sink_count_++] = static_cast<std::int16_t>(node);
            }
        }
    }

    std::uint64_t kept(int i) const { return kept_[i]; }
    double row_price(int i) const { return row_price_[i]; }
    double column_price(int j) const { return column_price_[j]; }

    // Brings every row and column to n units. Gives up, prices and bits still consistent, when more
    // than `limit` units are missing.
    bool balance(int limit) {
        if (missing_ > limit) return false;
        for (; missing_ > 0; --missing_) {
            start_search();
            augment(search());
        }
        return true;
    }

  private:
    // Rows and columns have whole vectors of nodes each; those beyond m have no arcs.
    static constexpr int kSide = kW < kLanes<Doubles> ? kLanes<Doubles> : kW;
    static constexpr int kNodes = 2 * kSide;  // rows, then columns

    struct Closed {
        int node;
        double distance;
    };

    static constexpr bool is_row(int node) { return node < kSide; }

    static void remove_node(std::int16_t* nodes, int& count, int node) {
        int k = 0;
        while (nodes[k] != node) ++k;
        for (--count; k < count; ++k) nodes[k] = nodes[k + 1];
    }

    void start_search() {
        closed_count_ = 0;
        closed_rows_ = 0;
        for (int node = 0; node < kNodes; node += kLanes<Doubles>)
            store(distance_ + node, splat<Doubles>(kInfinity));
        for (int s = 0; s < source_count_; ++s) distance_[sources_[s]] = 0.0;
        for (int j = 0; j < kSide; j += kLanes<Doubles>)
            store(search_price_ + j, load<Doubles>(column_price_ + j));
    }

    // Returns the sink that the shortest path ends in.
    int search() {
        for (;;) {
            const int node = nearest();
            if (excess_[node] < 0) return node;
            closed_[closed_count_++] = {node, distance_[node]};
            if (is_row(node))
                close_row(node);
            else
                close_column(node - kSide);
        }
    }

    int nearest() const {
        Doubles least = load<Doubles>(distance_);
        for (int node = kLanes<Doubles>; node < kNodes; node += kLanes<Doubles>)
            least = minimum(least, load<Doubles>(distance_ + node));
        least = spread_minimum(least);
        const double best = least[0];
        for (int s = 0; s < sink_count_; ++s)
            if (distance_[sinks_[s]] == best) return sinks_[s];
        for (int half = 0;; half += 64) {
            std::uint64_t equal = 0;
            for (int node = half; node < half + 64 && node < kNodes; node += kLanes<Doubles>)
                equal |= bits_of(load<Doubles>(distance_ + node) == least) << (node - half);
            if (equal != 0) return half + __builtin_ctzll(equal);
        }
    }

    template <int kDistance = kLanes<Doubles> / 2>
    static Doubles spread_minimum(Doubles vector) {
        vector = minimum(vector, swap_lanes<kDistance>(vector));
        if constexpr (kDistance > 1) return spread_minimum<kDistance / 2>(vector);
        return vector;
    }

    // Writes a whole vector: a single element would have to leave the store buffer before the
    // vector around it could be loaded again.
    static void set_infinite(double* values, int k) {
        double* block = values + k / kLanes<Doubles> * kLanes<Doubles>;
        const Int64s is_k = lane_bits(std::uint64_t{1} << k % kLanes<Doubles>);
        store(block, is_k ? splat<Doubles>(kInfinity) : load<Doubles>(block));
    }

    // The distance over an arc of reduced cost `cost`, which rounding may leave a hair below zero.
    static double extended(double distance, double cost) {
        const double sum = distance + cost;
        return sum > distance ? sum : distance;
    }
    // Positive where keeping pays.
    double surplus(int i, int j) const {
        return (static_cast<double>(scores_[i * kStripColumns + j]) - row_price_[i]) -
               column_price_[j];
    }

    // Arcs row -> column: entries that are dropped.
    void close_row(int i) {
        const double distance = distance_[i];
        set_infinite(distance_, i);
        closed_rows_ |= std::uint64_t{1} << i;
        const T* scores = scores_ + i * kStripColumns;
        double* distances = distance_ + kSide;
        // Columns beyond m are treated like kept entries: no arc leads there.
        const std::uint64_t no_arc = kept_[i] | ~(~std::uint64_t{0} >> (64 - m_));
        for (int j = 0; j < kSide; j += kLanes<Doubles>) {
            // A closed column has an infinite search price, hence an infinite distance here.
            const Doubles above =
                (load_doubles(scores + j) - row_price_[i]) - load<Doubles>(search_price_ + j);
            Doubles reached = maximum(distance - above, splat<Doubles>(distance));
            reached = lane_bits(no_arc >> j) ? splat<Doubles>(kInfinity) : reached;
            store(distances + j, minimum(load<Doubles>(distances + j), reached));
        }
    }

    // Lane k is -1 if bit k is set, else 0.
    static Int64s lane_bits(std::uint64_t bits) {
        Int64s lane_bit;
        for (int lane = 0; lane < kLanes<Doubles>; ++lane) lane_bit[lane] = std::int64_t{1} << lane;
        return (splat<Int64s>(static_cast<std::int64_t>(bits)) & lane_bit) != 0;
    }

    // Arcs column -> row: entries that are kept.
    void close_column(int j) {
        const double distance = distance_[kSide + j];
        set_infinite(distance_, kSide + j);
        set_infinite(search_price_, j);
        const std::uint64_t open = column_bits(j) & ~closed_rows_;
        const double price = column_price_[j];
        for (int i = 0; i < kSide; i += kLanes<Doubles>) {
            const Doubles above =
                (column_scores(i, j) - load<Doubles>(row_price_ + i)) - splat<Doubles>(price);
            Doubles reached = maximum(distance + above, splat<Doubles>(distance));
            reached = lane_bits(open >> i) ? reached : splat<Doubles>(kInfinity);
            store(distance_ + i, minimum(load<Doubles>(distance_ + i), reached));
        }
    }

    // Entries (i, j), (i + 1, j), ... as one vector.
    Doubles column_scores(int i, int j) const {
        const T* scores = scores_ + i * kStripColumns + j;
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return Doubles{static_cast<double>(scores[l * kStripColumns])...};
        }(std::make_index_sequence<kLanes<Doubles>>{});
    }

    std::uint64_t column_bits(int j) const {
        std::uint64_t bits = 0;
        for (int i = 0; i < kSide; i += kLanes<Int64s>) {
            const Int64s kept = load<Int64s>(kept_ + i);
            bits |= bits_of((kept & (std::int64_t{1} << j)) != 0) << i;
        }
        return bits;
    }

    // The first closed node, of those before `end`, that `node` got its distance from.
    int predecessor(int node, double distance, int end) const {
        for (int c = 0; c < end; ++c) {
            const int from = closed_[c].node;
            if (is_row(from) == is_row(node)) continue;
            const int i = is_row(from) ? from : node, j = (is_row(from) ? node : from) - kSide;
            const bool kept = kept_[i] >> j & 1;
            if (kept == is_row(from)) continue;
            const double cost = is_row(from) ? -surplus(i, j) : surplus(i, j);
            if (extended(closed_[c].distance, cost) == distance) return c;
        }
        return -1;
    }

    void augment(int sink) {
        const double length = distance_[sink];
        int node = sink, end = closed_count_;
        double distance = length;
        if (++excess_[sink] == 0) remove_node(sinks_, sink_count_, sink);
        path_length_ = 0;
        for (;;) {
            const int c = predecessor(node, distance, end);
            const int from = closed_[c].node;
            path_[path_length_++] = {is_row(from) ? from : node,
                                     (is_row(from) ? node : from) - kSide};
            node = from;
            distance = closed_[c].distance;
            end = c;
            if (excess_[node] > 0) break;
        }
        if (--excess_[node] == 0) remove_node(sources_, source_count_, node);
        for (int k = 0; k < path_length_; ++k)
            kept_[path_[k].row] ^= std::uint64_t{1} << path_[k].column;
        for (int c = 0; c < closed_count_; ++c) {
            const double change = length - closed_[c].distance;
            const int closed = closed_[c].node;
            if (is_row(closed))
                row_price_[closed] -= change;
            else
                column_price_[closed - kSide] += change;
        }
    }

    struct Entry {
        int row, column;
    };

    const T* scores_ = nullptr;
    int m_ = 0, n_ = 0;
    alignas(64) std::uint64_t kept_[kSide];
    alignas(64) double row_price_[kSide];
    alignas(64) double column_price_[kSide];
    alignas(64) double distance_[kNodes];
    alignas(64) double search_price_[kSide];  // column prices; infinite once closed
    std::int16_t excess_[kNodes];             // units to send (positive) or to get (negative)
    Closed closed_[kNodes];
    Entry path_[kNodes];
    std::int16_t sources_[kNodes + 1], sinks_[kNodes + 1];  // ascending
    std::uint64_t closed_rows_ = 0;
    int source_count_ = 0, sink_count_ = 0, missing_ = 0;
    int closed_count_ = 0, path_length_ = 0;
};

}  // namespace tnm::TNM_ISA
