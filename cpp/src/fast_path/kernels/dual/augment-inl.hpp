// Shortest augmenting paths for one tile of a strip.
//
// The same search as solvers/exact/shortest_paths.hpp (Dijkstra on reduced costs from all nodes
// with units to send, nearest first; ties: a node that wants a unit, then the lowest row, then the
// lowest column), but nothing is built: reduced costs are computed from scores and prices where
// they are needed, in double, and arcs are bits. No predecessors are stored; a path is traced back
// by asking which closed node gives exactly the distance found.
//
// Where scores tie, one search makes room for many units: after each, all are sent that can go over
// entries that cost exactly their two prices ("tight"), by breadth-first searches on bits.
#pragma once

#include "fast_path/kernels/dual/threshold-inl.hpp"
#include "fast_path/strip.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr double kInfinity = __builtin_inf();

// The rows or the columns of a tile, in whole vectors; those beyond m have no arcs and no units.
template <int kSide>
struct alignas(64) TileSide {
    double price[kSide];
    double distance[kSide];  // infinite once closed, and until reached
    std::uint64_t sources = 0, sinks = 0;
    int units[kSide];  // to send (positive) or to get (negative)

    // In the order of closing; `others` were closed on the other side before.
    struct Closed {
        double distance;
        int index, others;
    };
    Closed closed[kSide];
    int closed_count = 0;
};

template <int kW, class T>
class TileAugmenter {
  public:
    // `first` is the tile's first lane; the masks and prices of the strip must be consistent.
    template <class Price>
    TileAugmenter(const T* scores, int first, Pattern pattern, const ThresholdedStrip& strip,
                  const PricesOf<Price>& prices, double unit)
        : scores_(scores + first), m_(pattern.m) {
        for (int k = 0; k < kW; ++k) {
            kept_[k] = strip.kept[k] >> first & kFieldMask<kW>;
            rows_.price[k] = prices.rows[first + k] * unit;
            columns_.price[k] = prices.columns[first + k] * unit;
        }
        for (int k = kW; k < kSide; ++k) {
            kept_[k] = 0;
            rows_.price[k] = columns_.price[k] = 0.0;
        }
        for (int k = 0; k < m_; ++k) {
            missing_ += add_units(rows_, k, pattern.n - popcount(kept_[k]));
            missing_ += add_units(columns_, k, strip.column_counts[first + k] - pattern.n);
        }
    }

    std::uint64_t kept(int i) const { return kept_[i]; }
    double row_price(int i) const { return rows_.price[i]; }
    double column_price(int j) const { return columns_.price[j]; }

    // Brings every row and column to n units. Gives up, prices and bits still consistent, when more
    // than `limit` units are missing.
    bool balance(int limit) {
        if (missing_ > limit) return false;
        while (missing_ > 0) send_nearest_unit();
        return true;
    }
    bool balance_ties(int limit) {
        if (missing_ > limit) return false;
        while (missing_ > 0) {
            send_nearest_unit();
            if (missing_ > 0) send_tight_units();
        }
        return true;
    }

  private:
    static constexpr int kSide = kW < kLanes<Doubles> ? kLanes<Doubles> : kW;
    using Side = TileSide<kSide>;

    struct Node {
        bool is_row;
        int index;
    };
    struct Entry {
        int row, column;
    };

    // Returns how many units are to be sent.
    static int add_units(Side& side, int k, int units) {
        side.units[k] = units;
        side.sources |= static_cast<std::uint64_t>(units > 0) << k;
        side.sinks |= static_cast<std::uint64_t>(units < 0) << k;
        return units > 0 ? units : 0;
    }

    void send_nearest_unit() {
        start_search();
        augment(search());
        --missing_;
    }

    void start_search() {
        rows_least_ = start_side(rows_);
        columns_least_ = start_side(columns_);
        closed_rows_ = 0;
        for (int j = 0; j < kSide; j += kLanes<Doubles>)
            store(search_price_ + j, load<Doubles>(columns_.price + j));
    }

    static Doubles start_side(Side& side) {
        side.closed_count = 0;
        Doubles least = splat<Doubles>(kInfinity);
        for (int k = 0; k < kSide; k += kLanes<Doubles>) {
            const Doubles distance =
                lane_bits(side.sources >> k) ? Doubles{} : splat<Doubles>(kInfinity);
            store(side.distance + k, distance);
            least = minimum(least, distance);
        }
        return least;
    }

    // Returns the sink that the shortest path ends in; its distance is length_.
    Node search() {
        for (;;) {
            const Node node = nearest();
            const Side& side = node.is_row ? rows_ : columns_;
            if (side.sinks >> node.index & 1) return node;
            if (node.is_row)
                close_row(node.index);
            else
                close_column(node.index);
        }
    }

    Node nearest() {
        const Doubles least = spread_minimum(minimum(rows_least_, columns_least_));
        length_ = least[0];
        const bool in_rows = bits_of(rows_least_ == least) != 0;
        const bool in_columns = bits_of(columns_least_ == least) != 0;
        if (in_rows) {
            const std::uint64_t equal = equal_to(rows_, least);
            if (in_columns && (equal & rows_.sinks) == 0) {
                const std::uint64_t sinks = equal_to(columns_, least) & columns_.sinks;
                if (sinks != 0) return {false, __builtin_ctzll(sinks)};
            }
            return {true, first_of(equal, rows_.sinks)};
        }
        return {false, first_of(equal_to(columns_, least), columns_.sinks)};
    }

    static std::uint64_t equal_to(const Side& side, Doubles distance) {
        std::uint64_t equal = 0;
        for (int k = 0; k < kSide; k += kLanes<Doubles>)
            equal |= bits_of(load<Doubles>(side.distance + k) == distance) << k;
        return equal;
    }

    static int first_of(std::uint64_t nodes, std::uint64_t preferred) {
        return __builtin_ctzll((nodes & preferred) != 0 ? nodes & preferred : nodes);
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

    // Returns the least of what is left open on that side.
    static Doubles close(Side& side, int k, double distance, int others) {
        side.closed[side.closed_count++] = {distance, k, others};
        set_infinite(side.distance, k);
        Doubles least = load<Doubles>(side.distance);
        for (int first = kLanes<Doubles>; first < kSide; first += kLanes<Doubles>)
            least = minimum(least, load<Doubles>(side.distance + first));
        return least;
    }

    // The distance over an arc of reduced cost `cost`, which rounding may leave a hair below zero.
    static double extended(double distance, double cost) {
        const double sum = distance + cost;
        return sum > distance ? sum : distance;
    }
    // Positive where keeping pays.
    double surplus(int i, int j) const {
        return (static_cast<double>(scores_[i * kStripColumns + j]) - rows_.price[i]) -
               columns_.price[j];
    }

    // Arcs row -> column: entries that are dropped.
    void close_row(int i) {
        const double distance = length_, price = rows_.price[i];
        rows_least_ = close(rows_, i, distance, columns_.closed_count);
        closed_rows_ |= std::uint64_t{1} << i;
        const T* scores = scores_ + i * kStripColumns;
        // Columns beyond m are treated like kept entries: no arc leads there.
        const std::uint64_t no_arc = kept_[i] | ~(~std::uint64_t{0} >> (64 - m_));
        Doubles least = splat<Doubles>(kInfinity);
        for (int j = 0; j < kSide; j += kLanes<Doubles>) {
            // A closed column has an infinite search price, hence an infinite distance here.
            const Doubles above =
                (load_doubles(scores + j) - price) - load<Doubles>(search_price_ + j);
            Doubles reached = maximum(distance - above, splat<Doubles>(distance));
            reached = lane_bits(no_arc >> j) ? splat<Doubles>(kInfinity) : reached;
            reached = minimum(load<Doubles>(columns_.distance + j), reached);
            store(columns_.distance + j, reached);
            least = minimum(least, reached);
        }
        columns_least_ = least;
    }

    // Lane k is -1 if bit k is set, else 0.
    static Int64s lane_bits(std::uint64_t bits) {
        Int64s lane_bit;
        for (int lane = 0; lane < kLanes<Doubles>; ++lane) lane_bit[lane] = std::int64_t{1} << lane;
        return (splat<Int64s>(static_cast<std::int64_t>(bits)) & lane_bit) != 0;
    }

    // Arcs column -> row: entries that are kept.
    void close_column(int j) {
        const double distance = length_, price = columns_.price[j];
        columns_least_ = close(columns_, j, distance, rows_.closed_count);
        set_infinite(search_price_, j);
        const std::uint64_t open = column_bits(kept_, j) & ~closed_rows_;
        Doubles least = splat<Doubles>(kInfinity);
        for (int i = 0; i < kSide; i += kLanes<Doubles>) {
            const Doubles above =
                (column_scores(i, j) - load<Doubles>(rows_.price + i)) - splat<Doubles>(price);
            Doubles reached = maximum(distance + above, splat<Doubles>(distance));
            reached = lane_bits(open >> i) ? reached : splat<Doubles>(kInfinity);
            reached = minimum(load<Doubles>(rows_.distance + i), reached);
            store(rows_.distance + i, reached);
            least = minimum(least, reached);
        }
        rows_least_ = least;
    }

    // Entries (i, j), (i + 1, j), ... as one vector.
    Doubles column_scores(int i, int j) const {
        const T* scores = scores_ + i * kStripColumns + j;
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return Doubles{static_cast<double>(scores[l * kStripColumns])...};
        }(std::make_index_sequence<kLanes<Doubles>>{});
    }

    // Bit i is bit j of words[i].
    static std::uint64_t column_bits(const std::uint64_t* words, int j) {
        std::uint64_t bits = 0;
        for (int i = 0; i < kSide; i += kLanes<Int64s>) {
            const Int64s rows = load<Int64s>(words + i);
            bits |= bits_of((rows & (std::int64_t{1} << j)) != 0) << i;
        }
        return bits;
    }

    // The first closed row, of `count`, that column j got its distance from.
    const typename Side::Closed& row_before(int j, double distance, int count) const {
        int c = 0;
        for (; c < count - 1; ++c) {
            const auto& row = rows_.closed[c];
            const bool arc = (kept_[row.index] >> j & 1) == 0;
            if (arc & (extended(row.distance, -surplus(row.index, j)) == distance)) break;
        }
        return rows_.closed[c];
    }

    // The first closed column, of `count`, that row i got its distance from.
    const typename Side::Closed& column_before(int i, double distance, int count) const {
        int c = 0;
        for (; c < count - 1; ++c) {
            const auto& column = columns_.closed[c];
            const bool arc = (kept_[i] >> column.index & 1) != 0;
            if (arc & (extended(column.distance, surplus(i, column.index)) == distance)) break;
        }
        return columns_.closed[c];
    }

    Side& side_of(Node node) { return node.is_row ? rows_ : columns_; }

    void get_unit(Node sink) {
        Side& side = side_of(sink);
        if (++side.units[sink.index] == 0) side.sinks &= ~(std::uint64_t{1} << sink.index);
    }
    void give_unit(Node source) {
        Side& side = side_of(source);
        if (--side.units[source.index] == 0) side.sources &= ~(std::uint64_t{1} << source.index);
    }

    void augment(Node sink) {
        get_unit(sink);
        flip_path(sink);
        raise_prices();
    }

    // Follows the path back to its source.
    void flip_path(Node node) {
        double distance = length_;
        int others = (node.is_row ? columns_ : rows_).closed_count;
        int length = 0;
        for (;;) {
            const typename Side::Closed& from = node.is_row
                                                    ? column_before(node.index, distance, others)
                                                    : row_before(node.index, distance, others);
            path_[length++] =
                node.is_row ? Entry{node.index, from.index} : Entry{from.index, node.index};
            node = {!node.is_row, from.index};
            distance = from.distance;
            others = from.others;
            if ((side_of(node).sources >> node.index & 1) == 0) continue;
            give_unit(node);
            break;
        }
        for (int k = 0; k < length; ++k) kept_[path_[k].row] ^= std::uint64_t{1} << path_[k].column;
    }

    // Keeps reduced costs consistent with the flipped bits.
    void raise_prices() {
        for (int c = 0; c < rows_.closed_count; ++c)
            rows_.price[rows_.closed[c].index] -= length_ - rows_.closed[c].distance;
        for (int c = 0; c < columns_.closed_count; ++c)
            columns_.price[columns_.closed[c].index] += length_ - columns_.closed[c].distance;
    }

    // ---- units that go over tight entries ----

    void send_tight_units() {
        find_tight();
        seen_rows_ = seen_columns_ = 0;
        send_from(rows_, true);
        send_from(columns_, false);
    }

    void find_tight() {
        const std::uint64_t real = ~std::uint64_t{0} >> (64 - m_);
        for (int i = 0; i < kSide; ++i) tight_dropped_[i] = tight_kept_[i] = 0;
        for (int i = 0; i < m_; ++i) {
            std::uint64_t tight = 0;
            for (int j = 0; j < kSide; j += kLanes<Doubles>) {
                const Doubles above =
                    (load_doubles(scores_ + i * kStripColumns + j) - rows_.price[i]) -
                    load<Doubles>(columns_.price + j);
                tight |= bits_of(above == Doubles{}) << j;
            }
            tight_dropped_[i] = tight & ~kept_[i] & real;
            tight_kept_[i] = tight & kept_[i];
        }
    }

    // What a search in vain has seen leads nowhere, also for the searches after it.
    void send_from(const Side& side, bool is_row) {
        for (std::uint64_t rest = side.sources; rest != 0; rest &= rest - 1) {
            const Node source{is_row, __builtin_ctzll(rest)};
            while ((side.sources >> source.index & 1) != 0) {
                const std::uint64_t rows = seen_rows_, columns = seen_columns_;
                if (!send_tight_unit(source)) break;
                seen_rows_ = rows;
                seen_columns_ = columns;
                --missing_;
            }
        }
    }

    bool send_tight_unit(Node source) {
        Node queue[2 * kSide];
        int head = 0, tail = 0;
        mark_seen(source);
        queue[tail++] = source;
        while (head < tail) {
            const Node node = queue[head++];
            std::uint64_t next = unseen_after(node);
            const std::uint64_t sinks = next & (node.is_row ? columns_ : rows_).sinks;
            if (sinks != 0) next = sinks & (~sinks + 1);
            for (; next != 0; next &= next - 1) {
                const Node reached{!node.is_row, __builtin_ctzll(next)};
                (reached.is_row ? before_row_ : before_column_)[reached.index] = node.index;
                mark_seen(reached);
                queue[tail++] = reached;
            }
            if (sinks == 0) continue;
            flip_tight_path(source, queue[tail - 1]);
            return true;
        }
        return false;
    }

    void mark_seen(Node node) {
        (node.is_row ? seen_rows_ : seen_columns_) |= std::uint64_t{1} << node.index;
    }

    std::uint64_t unseen_after(Node node) const {
        return node.is_row ? tight_dropped_[node.index] & ~seen_columns_
                           : column_bits(tight_kept_, node.index) & ~seen_rows_;
    }

    void flip_tight_path(Node source, Node node) {
        get_unit(node);
        give_unit(source);
        while (node.is_row != source.is_row || node.index != source.index) {
            const int before = (node.is_row ? before_row_ : before_column_)[node.index];
            const int i = node.is_row ? node.index : before;
            const std::uint64_t bit = std::uint64_t{1} << (node.is_row ? before : node.index);
            kept_[i] ^= bit;
            tight_kept_[i] ^= bit;
            tight_dropped_[i] ^= bit;
            node = {!node.is_row, before};
        }
    }

    const T* scores_;
    const int m_;
    int missing_ = 0;
    alignas(64) std::uint64_t kept_[kSide];
    Side rows_, columns_;
    alignas(64) double search_price_[kSide];  // column prices; infinite once closed
    Doubles rows_least_, columns_least_;      // of the open nodes, lane by lane
    double length_ = 0.0;                     // of the shortest path to the nearest open node
    std::uint64_t closed_rows_ = 0;
    Entry path_[2 * kSide];

    alignas(64) std::uint64_t tight_dropped_[kSide];
    alignas(64) std::uint64_t tight_kept_[kSide];
    std::uint64_t seen_rows_ = 0, seen_columns_ = 0;
    int before_row_[kSide], before_column_[kSide];
};

}  // namespace tnm::TNM_ISA
