#include "solvers/exact/optimal_solver.hpp"

#include <algorithm>
#include <cmath>

#include "solvers/exact/refine_prices.hpp"

namespace tnm {
namespace {

int missing_units(const ResidualNetwork& network) {
    int units = 0;
    for (int node = 0; node < network.nodes(); ++node) units += std::max(0, network.excess(node));
    return units;
}

}  // namespace

// n = m on a full tile: prices low enough that every entry is worth keeping.
void OptimalSolver::keep_everything(TileMask& mask, TilePrices* prices) const {
    mask.reset(tile_.rows());
    for (int i = 0; i < tile_.rows(); ++i)
        for (int j = 0; j < tile_.columns(); ++j) mask.set(i, j);
    if (prices == nullptr) return;
    prices->exponent = tile_.exponent();
    prices->column.fill(0.0);
    for (int i = 0; i < tile_.rows(); ++i)
        prices->row[i] = *std::min_element(tile_.row(i), tile_.row(i) + tile_.columns());
}

void OptimalSolver::start_work() {
    work_->scores = tile_.row(0);
    work_->rows = tile_.rows();
    work_->columns = tile_.columns();
    work_->n = tile_.n();
    work_->exact = tile_.exact();
}

void OptimalSolver::read_prices(TilePrices& prices) const {
    std::copy_n(work_->row_prices, tile_.rows(), prices.row.begin());
    std::copy_n(work_->column_prices, tile_.columns(), prices.column.begin());
}

// Where few units are missing; then nothing has to be built.
bool OptimalSolver::solve_quickly(TileMask& mask) {
    const TileKernels& kernels = tile_kernels();
    start_work();
    if (work_->has_separate_lines()) {
        kernels.solve_separate_lines(*work_);
    } else {
        kernels.propose_prices(*work_);
        if (!kernels.solve(*work_, std::max(tile_.rows(), tile_.columns()) / 2)) return false;
    }
    for (int i = 0; i < tile_.rows(); ++i)
        for (int w = 0; w < TileMask::kWords; ++w) mask.set_word(i, w, work_->kept[i][w]);
    return true;
}

void OptimalSolver::start_network() {
    read_prices(proposed_);
    network_.build(tile_, proposed_);
    paths_.fill_tight_arcs(network_);
    if (missing_units(network_) <= std::max(tile_.rows(), tile_.columns()) / 2) return;
    if (!refine_prices(tile_, proposed_)) return;
    network_.build(tile_, proposed_);
    paths_.fill_tight_arcs(network_);
}

// Sums |score| over the kept entries, row by row until it is `enough`.
double OptimalSolver::kept_magnitude(const TileMask& mask, double enough) const {
    double magnitude = 0.0;
    for (int i = 0; i < tile_.rows() && magnitude < enough; ++i)
        for (int j = 0; j < tile_.columns(); ++j)
            if (mask.test(i, j)) magnitude += std::fabs(tile_.row(i)[j]);
    return magnitude;
}

void OptimalSolver::solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    if (scores.exact == nullptr) return solve_values(scores, mask, prices);
    TilePrices& known = prices == nullptr ? prices_ : *prices;
    solve_values(scores, mask, &known);
    exact_cycles_.run(scores, mask, known);
}

void OptimalSolver::solve_values(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    tile_.assign(scores);
    if (tile_.exact() && tile_.n() == tile_.rows()) return keep_everything(mask, prices);
    bool solved = solve_quickly(mask);
    if (!solved) {
        start_network();
        paths_.balance(network_);
        network_.read_mask(mask);
    }
    // The largest magnitude of a scaled tile is at least 1/2, unless all are zero. Of scores that
    // are not negative, more than that is always kept.
    if (tile_.exact() && needs_cycle_canceling(kept_magnitude(mask, 0.5), tile_.largest())) {
        if (solved) {
            start_network();
            paths_.balance(network_);
        }
        cycle_canceling_.run(network_);
        network_.read_mask(mask);
        solved = false;
    }
    if (prices == nullptr) return;
    prices->exponent = tile_.exponent();
    if (solved)
        read_prices(*prices);
    else
        network_.read_prices(*prices);
}

}  // namespace tnm
