// The approximate methods: masks as defined, bounds, completion.
#include <algorithm>
#include <cmath>

#include "reference/approximate.hpp"
#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"

namespace tnm::test {
namespace {

constexpr double kRounding = 1e-12;

std::vector<Flags> masks_of(const Array& array, const Pattern& pattern, Method method,
                            bool complete) {
    const MaskArray mask = solve(array.view(), {pattern, method, Score::identity, complete});
    return tiles_of(mask, pattern.m);
}

bool has_negative(const Tile& tile) {
    return std::any_of(tile.scores.begin(), tile.scores.end(), [](double s) { return s < 0.0; });
}

void check_two_approximation(const Tile& tile, const Flags& published, const Flags& completed,
                             const Flags& optimal) {
    TNM_CHECK(published == two_approximation_as_published(tile));
    TNM_CHECK(published == row_top_and_column_top(tile));
    TNM_CHECK(obeys_pattern(tile, completed));
    if (has_negative(tile)) return;
    const long double bound = 2.0L * pruned_total(tile, optimal);
    const long double slack = kRounding * total(tile, optimal);
    TNM_CHECK(pruned_total(tile, published) <= bound + slack);
    TNM_CHECK(pruned_total(tile, completed) <= bound + slack);
}

void check_greedy(const Tile& tile, const Flags& uncompleted, const Flags& completed,
                  const Flags& optimal) {
    TNM_CHECK(uncompleted == greedy_without_completion(tile));
    TNM_CHECK(obeys_pattern(tile, completed));
    if (has_negative(tile)) return;
    const long double bound = 0.5L * total(tile, optimal) * (1.0L - kRounding);
    TNM_CHECK(total(tile, uncompleted) >= bound);
    TNM_CHECK(total(tile, completed) >= bound);
}

// An edge tile can always be left short of n, so a completed mask may gain but never needs to give
// anything up.
void check_edge(const Tile& tile, const Flags& before, const Flags& completed) {
    if (tile.full()) return;
    for (std::size_t k = 0; k < before.size(); ++k) {
        TNM_CHECK(!completed[k] || tile.scores[k] > 0.0);
        TNM_CHECK(!before[k] || completed[k]);
    }
}

void check_methods(const Array& array, const Pattern& pattern) {
    const Given given([&] { return join(array.description(), ", ", pattern.n, ":", pattern.m); });
    const auto tiles = tiles_of(array, pattern, Score::identity);
    const auto optimal = masks_of(array, pattern, Method::optimal, true);
    const auto published = masks_of(array, pattern, Method::two_approximation, false);
    const auto approximate = masks_of(array, pattern, Method::two_approximation, true);
    const auto uncompleted = masks_of(array, pattern, Method::greedy, false);
    const auto greedy = masks_of(array, pattern, Method::greedy, true);
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const Given which([&] { return tiles[t].description(); });
        check_two_approximation(tiles[t], published[t], approximate[t], optimal[t]);
        check_greedy(tiles[t], uncompleted[t], greedy[t], optimal[t]);
        check_edge(tiles[t], published[t], approximate[t]);
        check_edge(tiles[t], uncompleted[t], greedy[t]);
    }
}

// Distributions whose sums do not overflow; absolute values as often as signed ones.
void check_filled(const Shape& shape, const Pattern& pattern, Distribution distribution,
                  std::uint64_t seed) {
    const Given given([&] { return join(name_of(distribution), " values, seed ", seed); });
    Random random(seed);
    Array array(Dtype::float64, shape);
    fill(array, distribution, random);
    if (seed % 4 != 0)
        for (std::int64_t k = 0; k < array.size(); ++k) array.set(k, std::fabs(array.get(k)));
    check_methods(array, pattern);
}

void test_small_patterns() {
    std::uint64_t seed = 1;
    for (int m = 1; m <= 8; ++m)
        for (int n = 1; n <= m; ++n)
            for (const Distribution distribution : kDistributions)
                check_filled({m + (m + 1) / 2, 2 * m + m / 3}, {n, m}, distribution, seed++);
}

void test_larger_patterns() {
    std::uint64_t seed = 1000;
    for (const auto& [n, m] : {std::pair{8, 16}, std::pair{1, 17}, std::pair{24, 32},
                               std::pair{20, 64}, std::pair{1, 65}, std::pair{64, 128}})
        for (const Distribution distribution :
             {Distribution::normal, Distribution::small_integers, Distribution::heavy_tails,
              Distribution::binary, Distribution::twelve_decades})
            check_filled({m, m + m / 2}, {n, m}, distribution, seed++);
}

// All tiles of a few values: among them are those that completion by exchange would spoil.
void test_all_tiny_tiles() {
    for (int n = 1; n <= 3; ++n) {
        Array array(Dtype::float64, {6561, 3, 3});
        for (std::int64_t flat = 0; flat < array.size(); ++flat) {
            auto digits = flat / 9 * 3;
            for (std::int64_t k = 0; k < flat % 9; ++k) digits /= 3;
            static constexpr double kValues[] = {0.0, 1.0, 10.0};
            array.set(flat, kValues[digits % 3]);
        }
        check_methods(array, {n, 3});
    }
}

// Heavy entries in a cross: the completed masks have to give up entries that the greedy ones took.
void test_completion_that_must_exchange() {
    Random random(77);
    for (int trial = 0; trial < 300; ++trial) {
        const int m = random.between(2, 7), n = random.between(1, m);
        Array array(Dtype::float64, {m, m});
        for (std::int64_t flat = 0; flat < array.size(); ++flat) {
            const bool heavy = flat / m < n || flat % m < n;
            array.set(flat, heavy ? 100.0 + random.between(0, 3) : random.between(0, 1));
        }
        check_methods(array, {n, m});
    }
}

// Here exchanges would prune more than twice the optimum: first a known tile, then its kin.
void test_bound_where_exchanges_break_it() {
    const double scores[] = {10000, 1,    10000, 1000000, 100,  10,    1000, 1000000,
                             10,    1000, 100,   10,      1000, 10000, 10,   1};
    Array known(Dtype::float64, {4, 4});
    for (std::int64_t flat = 0; flat < 16; ++flat) known.set(flat, scores[flat]);
    check_methods(known, {3, 4});
    Random random(78);
    for (int trial = 0; trial < 1500; ++trial) {
        const int m = random.between(3, 6);
        Array array(Dtype::float64, {m, m});
        for (std::int64_t flat = 0; flat < array.size(); ++flat)
            array.set(flat, std::pow(10.0, random.between(0, 6)));
        check_methods(array, {random.between(1, m - 1), m});
    }
}

void test_score_is_applied() {
    Array values(Dtype::float32, {8, 8}), squares(Dtype::float64, {8, 8});
    Random random(5);
    fill(values, Distribution::normal, random);
    for (std::int64_t flat = 0; flat < 64; ++flat)
        squares.set(flat, values.get(flat) * values.get(flat));
    for (const Method method : {Method::two_approximation, Method::greedy})
        TNM_CHECK(solve(values.view(), {{2, 4}, method, Score::square}).flags() ==
                  solve(squares.view(), {{2, 4}, method, Score::identity}).flags());
}

void test_threads_agree() {
    Array array(Dtype::float32, {2, 130, 260});
    Random random(6);
    fill_tile_by_tile(array, 8, random);
    for (const Method method : {Method::two_approximation, Method::greedy}) {
        const auto expected = solve(array.view(), {{4, 8}, method}, 1).flags();
        for (const int threads : {2, 7})
            TNM_CHECK(solve(array.view(), {{4, 8}, method}, threads).flags() == expected);
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"small_patterns", test_small_patterns},
                         {"larger_patterns", test_larger_patterns},
                         {"all_tiny_tiles", test_all_tiny_tiles},
                         {"completion_that_must_exchange", test_completion_that_must_exchange},
                         {"bound_where_exchanges_break_it", test_bound_where_exchanges_break_it},
                         {"score_is_applied", test_score_is_applied},
                         {"threads_agree", test_threads_agree},
                     });
}
