// From prices to the mask of a tile: keeping what exceeds its prices, then shortest augmenting
// paths.
//
// The network is that of solvers/exact/residual_network.hpp and the search that of
// shortest_paths.hpp, but nothing is built: costs are computed from scores and prices where they
// are needed, arcs are bits, and the ground, whose price is what prices of "at most n" are measured
// from, is one node. Ties: a node that wants a unit comes first, then the lowest row, then the
// lowest column, then the ground.
#pragma once

#include "simd/transpose-inl.hpp"
#include "simd/vectors-inl.hpp"
#include "solvers/exact/tile_kernels.hpp"
#include "words/mask_words.hpp"

namespace tnm::TNM_ISA::tile {

inline constexpr double kInfinity = __builtin_inf();

// A set of rows or columns.
struct NodeSet {
    std::uint64_t words[2] = {};

    bool has(int k) const { return (words[k >> 6] >> (k & 63) & 1) != 0; }
    void add(int k) { words[k >> 6] |= std::uint64_t{1} << (k & 63); }
    void remove(int k) { words[k >> 6] &= ~(std::uint64_t{1} << (k & 63)); }
    void toggle(int k) { words[k >> 6] ^= std::uint64_t{1} << (k & 63); }
    int count() const { return __builtin_popcountll(words[0]) + __builtin_popcountll(words[1]); }
    bool empty() const { return (words[0] | words[1]) == 0; }
    int first() const {
        return words[0] != 0 ? __builtin_ctzll(words[0]) : 64 + __builtin_ctzll(words[1]);
    }
    NodeSet operator&(const NodeSet& other) const {
        return {{words[0] & other.words[0], words[1] & other.words[1]}};
    }
    NodeSet operator~() const { return {{~words[0], ~words[1]}}; }
    // Those of a vector that begins with node k, in the lowest bits.
    std::uint64_t from(int k) const { return words[k >> 6] >> (k & 63); }
};

inline NodeSet first_nodes(int count) {
    const std::uint64_t all = ~std::uint64_t{0};
    if (count >= 64) return {{all, count == 64 ? 0 : all >> (128 - count)}};
    return {{all >> (64 - count), 0}};
}

// Lane k is -1 if bit k is set, else 0.
inline Int64s lanes_of_bits(std::uint64_t bits) {
    Int64s lane_bit;
    for (int lane = 0; lane < kLanes<Doubles>; ++lane) lane_bit[lane] = std::int64_t{1} << lane;
    return (splat<Int64s>(static_cast<std::int64_t>(bits)) & lane_bit) != 0;
}

inline double least_of(Doubles vector) {
    double least = vector[0];
    for (int lane = 1; lane < kLanes<Doubles>; ++lane)
        least = vector[lane] < least ? vector[lane] : least;
    return least;
}

// Rows or columns, in whole vectors.
struct alignas(64) Nodes {
    double price[kMaxM];
    double distance[kMaxM];      // infinite once closed, and until reached
    std::int64_t before[kMaxM];  // on the other side, or kGround
    NodeSet kept[kMaxM];         // nodes of the other side
    NodeSet real, sources, sinks, closed;
    NodeSet slack;        // that have units to or from the ground
    int units[kMaxM];     // to send (positive) or to get (negative)
    int grounded[kMaxM];  // units to or from the ground
    struct Closed {
        int index;
        double distance;
    };
    Closed path[kMaxM];  // in the order of closing
    int closed_count;
    int size, lanes;
    Doubles least;  // of the distances, lane by lane
};

// Sets the scores by column.
inline void turn_scores(TileWork& work) {
    constexpr int kStep = kLanes<Doubles>;
    for (int i = 0; i < work.rows; i += kStep)
        for (int j = 0; j < work.columns; j += kStep) {
            Doubles lines[kStep];
            for (int k = 0; k < kStep; ++k)
                lines[k] =
                    load<Doubles>(work.scores + (i + k < work.rows ? i + k : i) * work.columns + j);
            transpose_lines(lines);
            for (int k = 0; k < kStep; ++k)
                store(work.column_scores + (j + k) * TileWork::kColumnStride + i, lines[k]);
        }
}

template <bool kExact>
class TileAugmenter {
  public:
    explicit TileAugmenter(TileWork& work) : work_(work) {
        start(rows_, work.rows, work.row_prices);
        start(columns_, work.columns, work.column_prices);
        threshold();
        count_units();
    }

    int missing() const { return missing_; }

    // Finds what is missing, and writes mask and prices.
    void balance() {
        if (missing_ > 0) turn_scores(work_);
        for (; missing_ > 0; --missing_) {
            start_search();
            augment(search());
        }
        for (int i = 0; i < rows_.size; ++i) work_.row_prices[i] = found_price(rows_, i, -ground_);
        for (int j = 0; j < columns_.size; ++j)
            work_.column_prices[j] = found_price(columns_, j, ground_);
        for (int i = 0; i < rows_.size; ++i)
            for (int w = 0; w < 2; ++w) work_.kept[i][w] = rows_.kept[i].words[w];
    }

  private:
    static constexpr int kStep = kLanes<Doubles>;
    static constexpr int kGround = kMaxM, kNone = -1;

    enum class Kind { none, row, column, ground };
    struct Node {
        Kind kind;
        int index;
    };

    static void start(Nodes& nodes, int size, const double* prices) {
        nodes.size = size;
        nodes.lanes = (size + kStep - 1) / kStep * kStep;
        nodes.real = first_nodes(size);
        nodes.sources = nodes.sinks = nodes.slack = {};
        for (int k = 0; k < size; ++k) nodes.price[k] = prices[k];
        for (int k = size; k < nodes.lanes; ++k) nodes.price[k] = 0.0;
    }

    static double found_price(const Nodes& nodes, int k, double ground) {
        if (kExact) return nodes.price[k];
        // Rounding may leave a price of zero a hair below it; only above is it a bound.
        const double price = nodes.price[k] + ground;
        return price > 0.0 ? price : 0.0;
    }

    // ---- the mask to start from ----

    void threshold() {
        for (int i = 0; i < rows_.size; ++i) {
            const double* scores = work_.scores + i * work_.columns;
            const double price = rows_.price[i];
            NodeSet kept;
            for (int j = 0; j < columns_.lanes; j += kStep) {
                const Doubles above =
                    (load<Doubles>(scores + j) - price) - load<Doubles>(columns_.price + j);
                kept.words[j >> 6] |= bits_of(above > 0.0) << (j & 63);
            }
            rows_.kept[i] = kept & columns_.real;
        }
    }

    void count_units() {
        turn_kept();
        for (int i = 0; i < rows_.size; ++i) add_units(rows_, i, work_.n - rows_.kept[i].count());
        for (int j = 0; j < columns_.size; ++j)
            add_units(columns_, j, columns_.kept[j].count() - work_.n);
        ground_units_ = -balance_;
        if (ground_units_ > 0) missing_ += ground_units_;
    }

    // Units that are to or from the ground go there at once where that costs nothing.
    void add_units(Nodes& nodes, int k, int units) {
        const int spare = &nodes == &rows_ ? units : -units;
        nodes.grounded[k] = 0;
        if (!kExact && spare > 0 && nodes.price[k] == 0.0) {
            nodes.grounded[k] = spare;
            nodes.slack.add(k);
            units = 0;
        }
        nodes.units[k] = units;
        if (units > 0) nodes.sources.add(k);
        if (units < 0) nodes.sinks.add(k);
        if (units > 0) missing_ += units;
        balance_ += units;
    }

    // The columns' sets from those of the rows.
    void turn_kept() {
        constexpr int kFew = 256;
        for (int j = 0; j < columns_.size; ++j) columns_.kept[j] = {};
        if (rows_.size * columns_.size <= kFew) {
            for (int i = 0; i < rows_.size; ++i)
                for (NodeSet rest = rows_.kept[i]; !rest.empty(); rest.remove(rest.first()))
                    columns_.kept[rest.first()].add(i);
            return;
        }
        for (int v = 0; v * 64 < columns_.size; ++v)
            for (int w = 0; w * 64 < rows_.size; ++w) {
                std::uint64_t block[64] = {};
                for (int i = 0; i < 64 && w * 64 + i < rows_.size; ++i)
                    block[i] = rows_.kept[w * 64 + i].words[v];
                transpose_words(block);
                for (int j = 0; j < 64 && v * 64 + j < columns_.size; ++j)
                    columns_.kept[v * 64 + j].words[w] = block[j];
            }
    }

    // ---- the nearest node that wants a unit ----

    void start_search() {
        start_side(rows_);
        start_side(columns_);
        ground_distance_ = ground_units_ > 0 ? 0.0 : kInfinity;
        ground_before_ = {Kind::none, 0};
        ground_closed_at_ = -1.0;
    }

    static void start_side(Nodes& nodes) {
        nodes.closed_count = 0;
        nodes.closed = {};
        Doubles least = splat<Doubles>(kInfinity);
        for (int k = 0; k < nodes.lanes; k += kStep) {
            const Doubles distance =
                lanes_of_bits(nodes.sources.from(k)) ? Doubles{} : splat<Doubles>(kInfinity);
            store(nodes.distance + k, distance);
            store(nodes.before + k, splat<Int64s>(std::int64_t{kNone}));
            least = minimum(least, distance);
        }
        nodes.least = least;
    }

    // Its distance is length_.
    Node search() {
        for (;;) {
            const Node node = nearest();
            switch (node.kind) {
                case Kind::row:
                    if (rows_.sinks.has(node.index)) return node;
                    close<Kind::row>(rows_, columns_, node.index);
                    break;
                case Kind::column:
                    if (columns_.sinks.has(node.index)) return node;
                    close<Kind::column>(columns_, rows_, node.index);
                    break;
                default:
                    if (ground_units_ < 0) return node;
                    close_ground();
            }
        }
    }

    Node nearest() {
        const double in_rows = least_of(rows_.least), in_columns = least_of(columns_.least);
        double least = in_rows < in_columns ? in_rows : in_columns;
        if (!kExact && ground_distance_ < least) least = ground_distance_;
        length_ = least;
        const NodeSet rows = in_rows == least ? equal_to(rows_, least) : NodeSet{};
        const NodeSet columns = in_columns == least ? equal_to(columns_, least) : NodeSet{};
        if (const NodeSet sinks = rows & rows_.sinks; !sinks.empty())
            return {Kind::row, sinks.first()};
        if (const NodeSet sinks = columns & columns_.sinks; !sinks.empty())
            return {Kind::column, sinks.first()};
        const bool is_ground = !kExact && ground_distance_ == least;
        if (is_ground && ground_units_ < 0) return {Kind::ground, 0};
        if (!rows.empty()) return {Kind::row, rows.first()};
        if (!columns.empty()) return {Kind::column, columns.first()};
        return {Kind::ground, 0};
    }

    static NodeSet equal_to(const Nodes& nodes, double distance) {
        NodeSet equal;
        for (int k = 0; k < nodes.lanes; k += kStep)
            equal.words[k >> 6] |= bits_of(load<Doubles>(nodes.distance + k) == distance)
                                   << (k & 63);
        return equal;
    }

    // Writes a whole vector: a single element would have to leave the store buffer before the
    // vector around it could be loaded again.
    static void remove(Nodes& nodes, int k) {
        double* block = nodes.distance + k / kStep * kStep;
        const Int64s is_k = lanes_of_bits(std::uint64_t{1} << k % kStep);
        store(block, is_k ? splat<Doubles>(kInfinity) : load<Doubles>(block));
        Doubles least = splat<Doubles>(kInfinity);
        for (int first = 0; first < nodes.lanes; first += kStep)
            least = minimum(least, load<Doubles>(nodes.distance + first));
        nodes.least = least;
        nodes.closed.add(k);
    }

    // Arcs lead from rows to columns over entries that are dropped, and back over those that are
    // kept.
    template <Kind kFrom>
    void close(Nodes& from, Nodes& to, int k) {
        constexpr bool kIsRow = kFrom == Kind::row;
        const double distance = length_, price = from.price[k];
        from.path[from.closed_count++] = {k, distance};
        remove(from, k);
        const double* scores = kIsRow ? work_.scores + k * work_.columns
                                      : work_.column_scores + k * TileWork::kColumnStride;
        const NodeSet open = ~to.closed & to.real;
        const NodeSet arcs = open & (kIsRow ? ~from.kept[k] : from.kept[k]);
        Doubles least = splat<Doubles>(kInfinity);
        for (int j = 0; j < to.lanes; j += kStep) {
            const Doubles score = load<Doubles>(scores + j), other = load<Doubles>(to.price + j);
            // Rounding may leave a cost a hair below zero; distances must not decrease.
            const Doubles cost = kIsRow ? other - (score - price) : (score - other) - price;
            const Doubles reached = maximum(distance + cost, splat<Doubles>(distance));
            auto is_arc = lanes_of_bits(arcs.from(j));
            if constexpr (!kExact && kIsRow) is_arc &= score > 0.0;
            const Doubles old = load<Doubles>(to.distance + j);
            const auto closer = is_arc & (reached < old);
            const Doubles now = closer ? reached : old;
            store(to.distance + j, now);
            store(to.before + j,
                  closer ? splat<Int64s>(std::int64_t{k}) : load<Int64s>(to.before + j));
            least = minimum(least, now);
        }
        to.least = least;
        if constexpr (kExact) return;
        if (kIsRow)
            reach_ground({kFrom, k}, price - ground_);
        else if (from.slack.has(k))
            reach_ground({kFrom, k}, -price - ground_);
    }

    // ---- the ground ----

    double extended(double cost) const {
        return length_ + cost > length_ ? length_ + cost : length_;
    }

    void reach_ground(Node from, double cost) {
        if (ground_closed_at_ >= 0.0 || !(extended(cost) < ground_distance_)) return;
        ground_distance_ = extended(cost);
        ground_before_ = from;
    }

    void close_ground() {
        ground_closed_at_ = length_;
        ground_distance_ = kInfinity;
        reach_from_ground(columns_, ~NodeSet{}, 1.0);
        reach_from_ground(rows_, rows_.slack, -1.0);
    }

    void reach_from_ground(Nodes& to, const NodeSet& arcs, double sign) {
        for (int k = 0; k < to.size; ++k) {
            if (to.closed.has(k) || !arcs.has(k)) continue;
            const double reached = extended(ground_ + sign * to.price[k]);
            if (!(reached < to.distance[k])) continue;
            to.distance[k] = reached;
            to.before[k] = kGround;
        }
        Doubles least = splat<Doubles>(kInfinity);
        for (int k = 0; k < to.lanes; k += kStep)
            least = minimum(least, load<Doubles>(to.distance + k));
        to.least = least;
    }

    // ---- sending a unit ----

    void augment(Node sink) {
        change_units(sink, 1);
        Node node = sink;
        for (;;) {
            const Node from = node_before(node);
            if (from.kind == Kind::none) break;
            flip(from, node);
            node = from;
        }
        change_units(node, -1);
        move_prices();
    }

    Node node_before(Node node) const {
        if (node.kind == Kind::ground) return ground_before_;
        const bool is_row = node.kind == Kind::row;
        const auto before = static_cast<int>((is_row ? rows_ : columns_).before[node.index]);
        if (before == kNone) return {Kind::none, 0};
        if (before == kGround) return {Kind::ground, 0};
        return {is_row ? Kind::column : Kind::row, before};
    }

    void flip(Node from, Node to) {
        if (from.kind == Kind::ground) return change_slack(to, to.kind == Kind::row ? -1 : 1);
        if (to.kind == Kind::ground) return change_slack(from, from.kind == Kind::row ? 1 : -1);
        const int i = from.kind == Kind::row ? from.index : to.index;
        const int j = from.kind == Kind::row ? to.index : from.index;
        rows_.kept[i].toggle(j);
        columns_.kept[j].toggle(i);
    }

    Nodes& nodes_of(Node node) { return node.kind == Kind::row ? rows_ : columns_; }

    void change_slack(Node node, int units) {
        Nodes& nodes = nodes_of(node);
        nodes.grounded[node.index] += units;
        if (nodes.grounded[node.index] > 0)
            nodes.slack.add(node.index);
        else
            nodes.slack.remove(node.index);
    }

    void change_units(Node node, int units) {
        if (node.kind == Kind::ground) {
            ground_units_ += units;
            return;
        }
        Nodes& nodes = nodes_of(node);
        if ((nodes.units[node.index] += units) != 0) return;
        nodes.sources.remove(node.index);
        nodes.sinks.remove(node.index);
    }

    // Keeps costs consistent with the flipped entries.
    void move_prices() {
        for (int c = 0; c < rows_.closed_count; ++c)
            rows_.price[rows_.path[c].index] -= length_ - rows_.path[c].distance;
        for (int c = 0; c < columns_.closed_count; ++c)
            columns_.price[columns_.path[c].index] += length_ - columns_.path[c].distance;
        if (ground_closed_at_ >= 0.0) ground_ -= length_ - ground_closed_at_;
    }

    TileWork& work_;
    Nodes rows_, columns_;
    int missing_ = 0, balance_ = 0;
    double length_ = 0.0;  // of the shortest path to the nearest open node
    double ground_ = 0.0;  // its price
    int ground_units_ = 0;
    double ground_distance_ = kInfinity, ground_closed_at_ = -1.0;
    Node ground_before_{};
};

template <bool kExact>
bool solve_as(TileWork& work, int limit) {
    TileAugmenter<kExact> augmenter(work);
    if (augmenter.missing() > limit) return false;
    augmenter.balance();
    return true;
}

inline bool solve(TileWork& work, int limit) {
    return work.exact ? solve_as<true>(work, limit) : solve_as<false>(work, limit);
}

}  // namespace tnm::TNM_ISA::tile
