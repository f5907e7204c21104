// The prices that the optimal solver starts from.
#include <algorithm>
#include <cmath>
#include <memory>

#include "reference/tile.hpp"
#include "solvers/exact/scaled_tile.hpp"
#include "solvers/exact/tile_kernels.hpp"
#include "support/check.hpp"
#include "support/values.hpp"

namespace tnm::test {
namespace {

struct Proposal {
    std::vector<double> row, column;
};

ScaledTile scaled(const Tile& tile) {
    ScaledTile result;
    result.assign({tile.scores.data(), tile.columns, tile.rows, tile.columns, tile.pattern});
    return result;
}

// What is handed from tile to tile in the solver, too.
class WarmStart {
  public:
    Proposal propose(const Tile& tile) {
        const ScaledTile scores = scaled(tile);
        work_->scores = scores.row(0);
        work_->rows = tile.rows;
        work_->columns = tile.columns;
        work_->n = tile.pattern.n;
        work_->exact = tile.full();
        std::fill_n(work_->row_prices, kMaxM, std::nan(""));
        std::fill_n(work_->column_prices, kMaxM, std::nan(""));
        tile_kernels().propose_prices(*work_);
        return {{work_->row_prices, work_->row_prices + tile.rows},
                {work_->column_prices, work_->column_prices + tile.columns}};
    }

  private:
    const std::unique_ptr<TileWork> work_ = std::make_unique<TileWork>();
};

template <class Check>
void for_each_case(Check&& check) {
    WarmStart warm_start;  // reused, as the solver does
    std::uint64_t seed = 1;
    for (const auto& [rows, columns, n, m] :
         {std::array{4, 4, 2, 4}, std::array{8, 8, 1, 8}, std::array{8, 8, 7, 8},
          std::array{16, 16, 8, 16}, std::array{33, 33, 5, 33}, std::array{128, 128, 64, 128},
          std::array{3, 8, 2, 8}, std::array{8, 1, 4, 8}, std::array{1, 1, 1, 2},
          std::array{100, 128, 7, 128}})
        for (const Distribution distribution : kDistributions) {
            Random random(seed++);
            Array array(Dtype::float64, {rows, columns});
            fill(array, distribution, random);
            const Tile tile = tiles_of(array, {n, m}, Score::identity).front();
            const Given given(
                [&] { return join(name_of(distribution), " values, ", tile.description()); });
            check(tile, warm_start.propose(tile), distribution);
        }
}

// Whatever the data, the search that follows starts from numbers of the scores' own magnitude.
void test_prices_are_moderate() {
    for_each_case([](const Tile&, const Proposal& proposal, Distribution) {
        for (const auto* prices : {&proposal.row, &proposal.column})
            for (const double price : *prices) TNM_CHECK(std::fabs(price) <= 2.0);
    });
}

void test_edge_tiles_have_no_negative_prices() {
    for_each_case([](const Tile& tile, const Proposal& proposal, Distribution) {
        if (tile.full()) return;
        for (const auto* prices : {&proposal.row, &proposal.column})
            for (const double price : *prices) TNM_CHECK(price >= 0.0);
    });
}

// Scores on a coarse lattice get prices on it, so that ties stay exact.
void test_prices_stay_on_the_lattice() {
    for_each_case([](const Tile& tile, const Proposal& proposal, Distribution distribution) {
        if (distribution != Distribution::small_integers && distribution != Distribution::binary)
            return;
        const double unit = std::ldexp(1.0, -scaled(tile).exponent());
        for (const auto* prices : {&proposal.row, &proposal.column})
            for (const double price : *prices) TNM_CHECK_EQUAL(std::fmod(price, unit), 0.0);
    });
}

// Deterministic, and no memory of the tile before.
void test_state_does_not_leak() {
    WarmStart used;
    Random random(3);
    Array large(Dtype::float64, {64, 64}), small(Dtype::float64, {7, 7});
    fill(large, Distribution::normal, random);
    fill(small, Distribution::heavy_tails, random);
    used.propose(tiles_of(large, {32, 64}, Score::abs).front());
    const Tile tile = tiles_of(small, {3, 7}, Score::abs).front();
    WarmStart fresh;
    const Proposal a = used.propose(tile), b = fresh.propose(tile);
    TNM_CHECK(a.row == b.row && a.column == b.column);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(
        argc, argv,
        {
            {"prices_are_moderate", test_prices_are_moderate},
            {"edge_tiles_have_no_negative_prices", test_edge_tiles_have_no_negative_prices},
            {"prices_stay_on_the_lattice", test_prices_stay_on_the_lattice},
            {"state_does_not_leak", test_state_does_not_leak},
        });
}
