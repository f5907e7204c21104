// Method::optimal against proof and references, through the public header: patterns and values.
#include "tnm/transposable.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"

namespace tnm::test {
namespace {

// Tiles of the given size that together hold every combination of the values; `step` leaves some
// out. Full tiles lie side by side, edge tiles one in each matrix of a batch.
void check_all_tiles(int rows, int columns, const Pattern& pattern, const std::vector<int>& values,
                     int step = 1) {
    const auto base = static_cast<std::int64_t>(values.size());
    std::int64_t combinations = 1;
    for (int k = 0; k < rows * columns; ++k) combinations *= base;
    const std::int64_t tiles = (combinations + step - 1) / step;
    const bool full = rows == pattern.m && columns == pattern.m;
    Array array(Dtype::int8, full ? Shape{1, rows, tiles * columns} : Shape{tiles, rows, columns});
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        std::int64_t rest = tile * step;
        for (int k = 0; k < rows * columns; ++k, rest /= base) {
            const std::int64_t i = k / columns, j = k % columns;
            const std::int64_t flat =
                full ? (i * tiles + tile) * columns + j : (tile * rows + i) * columns + j;
            array.set(flat, values[static_cast<std::size_t>(rest % base)]);
        }
    }
    check_optimal(array, pattern, Score::identity);
}

void test_all_tiny_tiles() {
    for (int n = 1; n <= 2; ++n) check_all_tiles(2, 2, {n, 2}, {-2, -1, 0, 1, 3});
    for (int n = 1; n <= 3; ++n) check_all_tiles(3, 3, {n, 3}, {0, 1, 3}, 5);
    for (int n = 1; n <= 4; ++n) check_all_tiles(4, 4, {n, 4}, {0, 1}, 29);
}

void test_all_tiny_edge_tiles() {
    for (int n = 1; n <= 3; ++n) {
        check_all_tiles(1, 2, {n, 3}, {-1, 0, 1, 2});
        check_all_tiles(2, 1, {n, 4}, {-1, 0, 1, 2});
        check_all_tiles(2, 3, {n, 3}, {-1, 0, 1, 2}, 11);
        check_all_tiles(3, 2, {n, 4}, {-1, 0, 2, 3}, 11);
    }
}

// Several tiles each way, and edge tiles on both sides.
void test_every_small_pattern() {
    std::uint64_t seed = 1;
    for (int m = 1; m <= 8; ++m)
        for (int n = 1; n <= m; ++n)
            for (const Distribution distribution : kDistributions) {
                const Score score = seed % 3 == 0 ? Score::identity : Score::abs;
                check_filled(Dtype::float64, {2 * m - (m > 1), 2 * m + m / 2}, {n, m}, score,
                             distribution, seed++);
            }
}

void test_every_edge_shape() {
    std::uint64_t seed = 100;
    for (int m = 4; m <= 5; ++m)
        for (int rows = 1; rows <= m + 1; ++rows)
            for (int columns = 1; columns <= m + 1; ++columns)
                for (int n = 1; n <= m; ++n) {
                    const auto choice = seed % kDistributions.size();
                    check_filled(Dtype::float32, {rows, columns}, {n, m}, Score::identity,
                                 kDistributions.begin()[choice], seed);
                    ++seed;
                }
}

// Where n lies makes for different algorithms: an assignment, a few, half, most, all but one.
std::vector<int> sampled_n(int m) {
    std::vector<int> all = {1, 2, m / 4, m / 2, 3 * m / 4, m - 1, m};
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    all.erase(all.begin(), std::find_if(all.begin(), all.end(), [](int n) { return n > 0; }));
    return all;
}

void test_medium_patterns() {
    std::uint64_t seed = 200;
    for (const int m : {9, 10, 12, 15, 16, 17, 24})
        for (const int n : sampled_n(m))
            for (int k = 0; k < 3; ++k) {
                const auto choice = seed * 5 % kDistributions.size();
                check_filled(k == 2 ? Dtype::float64 : Dtype::float32, {m + m / 3, m}, {n, m},
                             k == 1 ? Score::identity : Score::abs, kDistributions.begin()[choice],
                             seed);
                ++seed;
            }
}

void test_large_patterns() {
    std::uint64_t seed = 300;
    for (const int m : {31, 32, 33, 48, 63, 64, 65, 100, 127, 128})
        for (const int n : sampled_n(m)) {
            const auto choice = seed * 7 % kDistributions.size();
            check_filled(Dtype::float32, {m, m}, {n, m},
                         seed % 4 == 0 ? Score::identity : Score::abs,
                         kDistributions.begin()[choice], seed);
            ++seed;
        }
}

void test_every_distribution_at_common_patterns() {
    std::uint64_t seed = 400;
    for (const int m : {16, 32, 64})
        for (const Distribution distribution : kDistributions) {
            check_filled(seed % 2 ? Dtype::float32 : Dtype::float64, {m, m}, {m / 2, m}, Score::abs,
                         distribution, seed);
            ++seed;
        }
}

void test_large_edge_tiles() {
    std::uint64_t seed = 500;
    for (const auto& [rows, columns, n, m] :
         {std::array{1, 100, 3, 128}, std::array{90, 128, 32, 128}, std::array{63, 5, 4, 64},
          std::array{40, 63, 31, 64}, std::array{31, 31, 16, 32}, std::array{32, 1, 16, 32}})
        for (const Distribution distribution :
             {Distribution::normal, Distribution::mostly_zero, Distribution::small_integers,
              Distribution::twelve_decades}) {
            check_filled(Dtype::float64, {rows, columns}, {n, m},
                         seed % 2 ? Score::identity : Score::abs, distribution, seed);
            ++seed;
        }
}

// Zeros are worth nothing, so nothing is gained by keeping one: not even as a detour of the flow.
void test_edge_tiles_keep_only_positive_scores() {
    Array array(Dtype::float64, {2, 5});
    const double scores[] = {19061956, 3350441689, 0, 247653169, 0, 0, 3102267204, 0, 0, 0};
    for (std::int64_t flat = 0; flat < 10; ++flat) array.set(flat, scores[flat]);
    check_optimal(array, {1, 5}, Score::identity);
    Random random(550);
    for (int trial = 0; trial < 200; ++trial) {
        const int m = trial % 20 == 0 ? random.between(65, 80) : random.between(2, 12);
        const int n = random.between(1, m);
        Array edge(Dtype::float32, {random.between(1, m), random.between(1, m - 1)});
        for (std::int64_t flat = 0; flat < edge.size(); ++flat)
            edge.set(flat, random.between(0, 1) ? 0.0 : random.uniform());
        check_optimal(edge, {n, m}, Score::identity);
    }
}

// Tiles that are solved side by side must not disturb each other.
void test_unlike_neighbours() {
    std::uint64_t seed = 600;
    for (const auto& [m, n, rows, columns] :
         {std::array{2, 1, 6, 140}, std::array{4, 2, 24, 204}, std::array{4, 1, 8, 128},
          std::array{4, 3, 9, 131}, std::array{5, 2, 11, 137}, std::array{7, 6, 14, 140},
          std::array{8, 4, 40, 200}, std::array{8, 1, 16, 72}, std::array{8, 5, 17, 130},
          std::array{12, 5, 26, 133}, std::array{16, 8, 48, 144}, std::array{16, 4, 33, 100},
          std::array{24, 16, 49, 123}, std::array{32, 16, 32, 160}, std::array{48, 20, 48, 100},
          std::array{64, 32, 64, 136}}) {
        for (const Dtype dtype : {Dtype::float32, Dtype::float64}) {
            const Given given([&] { return join("a distribution a tile, seed ", seed); });
            Random random(seed);
            Array array(dtype, {rows, columns});
            fill_tile_by_tile(array, m, random);
            check_optimal(array, {n, m}, seed % 3 ? Score::abs : Score::identity);
            ++seed;
        }
    }
}

// Tiles of very different size in one matrix.
void test_unlike_magnitudes() {
    for (const int m : {4, 8, 16}) {
        Random random(700);
        Array array(Dtype::float64, {2 * m, 96});
        for (std::int64_t flat = 0; flat < array.size(); ++flat) {
            const auto tile = static_cast<int>(flat % 96 / m);
            array.set(flat, std::ldexp(random.normal(), (tile * 397) % 2000 - 1000));
        }
        check_optimal(array, {m / 2, m}, Score::abs);
        check_optimal(array, {m / 2, m}, Score::identity);
    }
}

// The gap is relative to what is kept, however small that is beside what is dropped.
void test_little_kept_beside_much_dropped() {
    const auto check = [](Dtype dtype, int m, std::initializer_list<double> scores) {
        Array array(dtype, {m, m});
        std::int64_t flat = 0;
        for (const double score : scores) array.set(flat++, score);
        check_optimal(array, {1, m}, Score::identity);
    };
    check(Dtype::float64, 3,
          {-5.3682617068055497e-244, 0, -3.9244148177529523e-245, -4.9474452201452103e-235, 0, 0,
           -9.1655057608829864e-246, -9.435797035869288e-243, -1.3337374268564833e-245});
}

// Dropping a large positive score takes a price of its size, and no double of that size shows what
// is kept. The mask is right all the same, and the gap owns up to what the prices cannot prove.
void test_little_kept_beside_large_positive_scores() {
    const auto check = [](Dtype dtype, std::array<double, 4> scores,
                          std::vector<std::uint8_t> mask) {
        Array array(dtype, {2, 2});
        double largest = 0.0, kept = 0.0;
        for (std::size_t k = 0; k < scores.size(); ++k) {
            array.set(static_cast<std::int64_t>(k), scores[k]);
            largest = std::max(largest, std::fabs(scores[k]));
            if (mask[k] != 0) kept += std::fabs(scores[k]);
        }
        Certificate certificate(1, 2);
        CertificateView view = certificate.view();
        const TransposableOptions options{{1, 2}, Method::optimal, Score::identity, true};
        TNM_CHECK(solve(array.view(), options, 1, &view).flags() == mask);
        TNM_CHECK(solve(array.view(), options).flags() == mask);
        TNM_CHECK(certificate.gap[0] * kept <= 1e-15 * largest);
    };
    check(Dtype::float64,
          {-1.0420747563439434e-111, 1.535489885786346e-102, -4.0584188260854441e-101, 0},
          {1, 0, 0, 1});
    check(Dtype::float32,
          {0.0018780974205583334, -5.0799262799744449e-13, 1.0913326313607627e-13,
           -0.0035919500514864922},
          {0, 1, 1, 0});
}

// The fast path works with integers up to 2^14 - 1 in magnitude. Where ties are many and scores lie
// at either end of these, sums of two prices lie beyond.
void test_ends_of_the_integers() {
    std::uint64_t seed = 740;
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{7, 8}, std::pair{5, 7},
                               std::pair{4, 9}, std::pair{8, 16}, std::pair{16, 32}})
        for (int repeat = 0; repeat < 3; ++repeat) {
            Random random(seed++);
            Array array(Dtype::float32, {m, 4 * m});
            for (std::int64_t flat = 0; flat < array.size(); ++flat)
                array.set(flat, random.between(0, 2) ? random.between(-16383, -16382) : 16383);
            check_optimal(array, {n, m}, Score::identity);
        }
}

// Prices between two neighbouring doubles have nowhere to go.
void test_smallest_denormals() {
    std::uint64_t seed = 750;
    for (const int m : {4, 8, 15, 16, 32})
        for (const int most : {1, 3, 1000, 100000}) {
            Random random(seed++);
            Array array(Dtype::float64, {m + 1, 2 * m + 2});
            for (std::int64_t flat = 0; flat < array.size(); ++flat)
                array.set(flat, std::numeric_limits<double>::denorm_min() *
                                    random.between(-most / 2, most));
            check_optimal(array, {(m + 1) / 2, m}, Score::identity);
        }
}

// Totals of a tile may be infinite, prices and the gap may not. (Scores of both signs may need
// prices beyond the largest of them.)
void test_largest_doubles() {
    std::uint64_t seed = 755;
    for (const auto& [n, m] : {std::pair{1, 2}, std::pair{2, 4}, std::pair{3, 5}, std::pair{1, 8},
                               std::pair{4, 8}, std::pair{8, 16}, std::pair{40, 65}})
        for (const bool extremes_only : {false, true}) {
            Random random(seed++);
            Array array(Dtype::float64, {m + 1, 2 * m + 1}), smaller(array);
            for (std::int64_t flat = 0; flat < array.size(); ++flat) {
                const double size = extremes_only ? 1.0 : 1.0 - 0.5 * random.uniform();
                const double sign = random.between(0, 1) ? 1.0 : -1.0;
                array.set(flat, sign * size * std::numeric_limits<double>::max());
                smaller.set(flat, array.get(flat) / 8);
            }
            check_optimal(array, {n, m}, Score::abs);
            check_optimal(smaller, {n, m}, Score::identity);
        }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(
        argc, argv,
        {
            {"all_tiny_tiles", test_all_tiny_tiles},
            {"all_tiny_edge_tiles", test_all_tiny_edge_tiles},
            {"every_small_pattern", test_every_small_pattern},
            {"every_edge_shape", test_every_edge_shape},
            {"medium_patterns", test_medium_patterns},
            {"large_patterns", test_large_patterns},
            {"every_distribution", test_every_distribution_at_common_patterns},
            {"large_edge_tiles", test_large_edge_tiles},
            {"edge_tiles_keep_only_positive_scores", test_edge_tiles_keep_only_positive_scores},
            {"unlike_neighbours", test_unlike_neighbours},
            {"unlike_magnitudes", test_unlike_magnitudes},
            {"little_kept_beside_much_dropped", test_little_kept_beside_much_dropped},
            {"little_kept_beside_large_positive_scores",
             test_little_kept_beside_large_positive_scores},
            {"ends_of_the_integers", test_ends_of_the_integers},
            {"smallest_denormals", test_smallest_denormals},
            {"largest_doubles", test_largest_doubles},
        });
}
