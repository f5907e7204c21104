// Balancing a residual network, whatever the prices it starts from.
#include "solvers/exact/shortest_paths.hpp"

#include <cmath>

#include "reference/tile.hpp"
#include "support/check.hpp"
#include "support/values.hpp"

namespace tnm::test {
namespace {

enum class Start { zero, random, lattice };

std::array<double, kMaxM> starting_prices(int count, Start start, Random& random) {
    std::array<double, kMaxM> prices{};
    for (int k = 0; k < count; ++k) {
        if (start == Start::random) prices[k] = random.uniform();
        if (start == Start::lattice) prices[k] = random.between(0, 8) / 8.0;
    }
    return prices;
}

// No residual arc has a negative reduced cost (beyond rounding), ground included.
void check_costs(const ResidualNetwork& network) {
    for (int node = 0; node < network.nodes(); ++node)
        for (int k = 0; k < network.side(); ++k) {
            const int other = network.first_opposite(node) + k;
            const double cost =
                network.weights(node)[k] + (network.prices()[node] - network.prices()[other]);
            TNM_CHECK(cost >= -1e-12);
        }
}

void check_balance(const Tile& tile, Start start, Random& random, ShortestPaths& paths) {
    ScaledTile scaled;
    scaled.assign({tile.scores.data(), tile.columns, tile.rows, tile.columns, tile.pattern});
    TilePrices prices;
    prices.row = starting_prices(tile.rows, start, random);
    prices.column = starting_prices(tile.columns, start, random);
    ResidualNetwork network;
    network.build(scaled, prices);
    check_costs(network);
    paths.fill_tight_arcs(network);
    check_costs(network);
    paths.balance(network);
    check_costs(network);
    for (int node = 0; node < network.nodes(); ++node) TNM_CHECK_EQUAL(network.excess(node), 0);

    Flags kept;
    for (int i = 0; i < tile.rows; ++i)
        for (int j = 0; j < tile.columns; ++j) kept.push_back(network.keeps(i, j));
    TNM_CHECK(obeys_pattern(tile, kept));
    if (tile.full()) return;
    network.read_prices(prices);
    for (int i = 0; i < tile.rows; ++i) TNM_CHECK(prices.row[i] >= -1e-12);
    for (int j = 0; j < tile.columns; ++j) TNM_CHECK(prices.column[j] >= -1e-12);
}

void test_any_start() {
    ShortestPaths paths;
    std::uint64_t seed = 1;
    for (const auto& [rows, columns, n, m] :
         {std::array{1, 1, 1, 1}, std::array{4, 4, 2, 4}, std::array{7, 7, 1, 7},
          std::array{8, 8, 7, 8}, std::array{16, 16, 5, 16}, std::array{2, 5, 2, 5},
          std::array{5, 2, 4, 5}, std::array{9, 16, 8, 16}})
        for (const Distribution distribution : kDistributions)
            for (const Start start : {Start::zero, Start::random, Start::lattice}) {
                Random random(seed++);
                Array array(Dtype::float64, {rows, columns});
                fill(array, distribution, random);
                const Tile tile = tiles_of(array, {n, m}, Score::identity).front();
                const Given given(
                    [&] { return join(name_of(distribution), " values, ", tile.description()); });
                check_balance(tile, start, random, paths);
            }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv, {{"any_start", test_any_start}});
}
