#include "solvers/exact/exact_cycles.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "solvers/exact/fixed_integer.hpp"

namespace tnm {
namespace {

// Potentials that are kept from cycle to cycle sink by the length of a path with each.
constexpr int kMostCycles = 1024;
// What they and the prices to start from may take beyond the scores, and a sign.
constexpr int kBitsAboveScores = 24;

}  // namespace

// Nodes are rows, then columns, then the ground, which takes what rows of edge tiles need not keep
// and gives what columns need not. A potential is a row's price, or minus a column's. The arc from
// a row to a column whose entry is dropped costs minus the score, and the other way, if the entry
// is kept, the score. A cycle of negative cost says how to keep more; without one, the potentials
// can be lowered until no arc is worth following, and then they prove the mask (Bellman-Ford). All
// in integers, in units of the scores' lowest bit.
template <std::size_t kWords>
class ExactCycles::Network {
  public:
    void run(const ScoreTile& tile, TileMask& mask, TilePrices& prices) {
        start(tile, mask, prices);
        while (relax()) cancel_cycles();
        write(prices);
    }

  private:
    using Integer = FixedInteger<kWords>;

    int row_node(int i) const { return i; }
    int column_node(int j) const { return tile_->rows + j; }
    int ground() const { return tile_->rows + tile_->columns; }
    std::size_t index(int i, int j) const {
        return static_cast<std::size_t>(i) * static_cast<std::size_t>(tile_->columns) +
               static_cast<std::size_t>(j);
    }

    void start(const ScoreTile& tile, TileMask& mask, const TilePrices& prices) {
        tile_ = &tile;
        mask_ = &mask;
        const ExactScores& exact = *tile.exact;
        unit_ = exact.lowest_bit();
        scores_.resize(static_cast<std::size_t>(tile.rows) * tile.columns);
        for (int i = 0; i < tile.rows; ++i)
            for (int j = 0; j < tile.columns; ++j) scores_[index(i, j)] = score_of(i, j);
        const auto nodes = static_cast<std::size_t>(ground()) + 1;
        potentials_.assign(nodes, Integer());
        for (int i = 0; i < tile.rows; ++i)
            potentials_[row_node(i)] = from_double(prices.row[i], prices.exponent);
        for (int j = 0; j < tile.columns; ++j)
            potentials_[column_node(j)] = from_double(-prices.column[j], prices.exponent);
        first_potentials_ = potentials_;
        cycles_ = 0;
        search_afresh();
    }

    void search_afresh() {
        predecessors_.assign(potentials_.size(), -1);
        due_.assign(potentials_.size(), 1);
        row_counts_.fill(0);
        column_counts_.fill(0);
        for (int i = 0; i < tile_->rows; ++i)
            for (int j = 0; j < tile_->columns; ++j)
                if (mask_->test(i, j)) {
                    ++row_counts_[i];
                    ++column_counts_[j];
                }
    }

    // Less the offset, which doubles hold exactly where there is one.
    Integer score_of(int i, int j) const {
        if (tile_->exact->offset() != 0.0) return from_double((*tile_)(i, j), 0);
        const auto& [magnitude, exponent, negative] = (*tile_->exact)(i, j);
        return {magnitude, exponent - unit_, negative};
    }
    // value * 2^exponent in the tile's units; what lies below the lowest bit is cut off.
    Integer from_double(double value, int exponent) const {
        int value_exponent = 0;
        const double fraction = std::frexp(value, &value_exponent);
        const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
        const int shift = value_exponent - 53 + exponent + tile_->exponent() - unit_;
        return {static_cast<Uint128>(std::llabs(mantissa)), shift, mantissa < 0};
    }

    // Edge tiles only keep what is positive.
    bool may_keep(int i, int j) const { return tile_->full() || tile_->order(i, j) > 0.0; }
    void reach(int from, int to, const Integer& potential) {
        if (!(potential < potentials_[to])) return;
        potentials_[to] = potential;
        predecessors_[to] = from;
        due_[to] = 1;
    }
    void relax_from_row(int i) {
        const Integer potential = potentials_[row_node(i)];
        for (int j = 0; j < tile_->columns; ++j)
            if (!mask_->test(i, j) && may_keep(i, j))
                reach(row_node(i), column_node(j), potential - scores_[index(i, j)]);
        if (!tile_->full()) reach(row_node(i), ground(), potential);
    }
    void relax_from_column(int j) {
        const Integer potential = potentials_[column_node(j)];
        for (int i = 0; i < tile_->rows; ++i)
            if (mask_->test(i, j))
                reach(column_node(j), row_node(i), potential + scores_[index(i, j)]);
        if (!tile_->full() && column_counts_[j] < tile_->pattern.n)
            reach(column_node(j), ground(), potential);
    }
    void relax_from_ground() {
        if (tile_->full()) return;
        const Integer potential = potentials_[ground()];
        for (int i = 0; i < tile_->rows; ++i)
            if (row_counts_[i] < tile_->pattern.n) reach(ground(), row_node(i), potential);
        for (int j = 0; j < tile_->columns; ++j) reach(ground(), column_node(j), potential);
    }
    bool relax() {
        bool changed = false;
        for (int node = 0; node <= ground(); ++node) {
            if (!due_[node]) continue;
            due_[node] = 0;
            changed = true;
            if (node < tile_->rows)
                relax_from_row(node);
            else if (node < ground())
                relax_from_column(node - tile_->rows);
            else
                relax_from_ground();
        }
        return changed;
    }

    // Predecessors form a cycle only where one of negative cost exists. No two share a node.
    void cancel_cycles() {
        bool cancelled = false;
        seen_by_.assign(predecessors_.size(), -1);
        for (int walk = 0; walk <= ground(); ++walk) {
            int node = walk;
            while (node >= 0 && seen_by_[node] < 0) {
                seen_by_[node] = walk;
                node = predecessors_[node];
            }
            if (node < 0 || seen_by_[node] != walk) continue;
            cancel(node);
            cancelled = true;
        }
        if (!cancelled) return;
        // Potentials are a start as good as any, but they must not sink without end.
        if (++cycles_ % kMostCycles == 0) potentials_ = first_potentials_;
        search_afresh();
    }
    void cancel(int last) {
        int to = last;
        do {
            const int from = predecessors_[to];
            flip(from, to);
            to = from;
        } while (to != last);
    }
    void flip(int from, int to) {
        if (from == ground() || to == ground()) return;
        if (from < tile_->rows)
            mask_->set(from, to - tile_->rows);
        else
            mask_->clear(to, from - tile_->rows);
    }

    void write(TilePrices& prices) const {
        prices.exponent = 0;
        const int scale = unit_ - tile_->exponent();
        const Integer& zero = potentials_[ground()];
        const bool full = tile_->full();
        for (int i = 0; i < tile_->rows; ++i) {
            const Integer& row = potentials_[row_node(i)];
            prices.row[i] = (full ? row : row - zero).to_double(scale);
        }
        for (int j = 0; j < tile_->columns; ++j)
            prices.column[j] =
                ((full ? Integer() : zero) - potentials_[column_node(j)]).to_double(scale);
    }

    const ScoreTile* tile_ = nullptr;
    TileMask* mask_ = nullptr;
    int unit_ = 0;
    int cycles_ = 0;
    std::vector<Integer> scores_, potentials_, first_potentials_;
    std::vector<int> predecessors_, seen_by_;
    std::vector<unsigned char> due_;
    std::array<int, kMaxM> row_counts_{}, column_counts_{};
};

ExactCycles::ExactCycles() = default;
ExactCycles::~ExactCycles() = default;

template <std::size_t kWords>
void ExactCycles::run_with(std::unique_ptr<Network<kWords>>& network, const ScoreTile& tile,
                           TileMask& mask, TilePrices& prices) {
    if (network == nullptr) network = std::make_unique<Network<kWords>>();
    network->run(tile, mask, prices);
}

void ExactCycles::run(const ScoreTile& tile, TileMask& mask, TilePrices& prices) {
    const ExactScores& exact = *tile.exact;
    // An offset leaves fewer bits than two words have.
    const int bits =
        exact.offset() != 0.0 ? 64 : exact.end_bit() - exact.lowest_bit() + kBitsAboveScores;
    if (bits <= 128)
        run_with(narrow_, tile, mask, prices);
    else if (bits <= 256)
        run_with(wide_, tile, mask, prices);
    else
        run_with(widest_, tile, mask, prices);
}

}  // namespace tnm
