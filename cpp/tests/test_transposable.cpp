// Method::optimal against proof and references, through the public header.
#include "tnm/transposable.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"
#include "tnm/build_info.hpp"

namespace tnm::test {
namespace {

void check_filled(Dtype dtype, const Shape& shape, const Pattern& pattern, Score score,
                  Distribution distribution, std::uint64_t seed,
                  Memory memory = Memory::contiguous) {
    const Given given([&] { return join(name_of(distribution), " values, seed ", seed); });
    Random random(seed);
    Array array(dtype, shape, memory);
    fill(array, distribution, random);
    check_optimal(array, pattern, score);
}

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

// What a tile keeps is decided by its scores, not by its place or its neighbours.
void test_place_does_not_matter() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{3, 6}, std::pair{4, 8}, std::pair{8, 16},
                               std::pair{9, 20}, std::pair{16, 32}, std::pair{32, 64}}) {
        Random random(650 + static_cast<std::uint64_t>(m));
        Array array(Dtype::float32, {m, m * std::max(3, 100 / m)});
        fill_tile_by_tile(array, m, random);
        const auto tiles = tiles_of(array, {n, m}, Score::abs);
        const auto kept = tiles_of(solve(array.view(), {{n, m}}), m);
        for (std::size_t t = 0; t < tiles.size(); ++t) {
            const Given given([&] { return join("number ", t, ", ", tiles[t].description()); });
            Array alone(Dtype::float32, {m, m});
            for (std::int64_t k = 0; k < alone.size(); ++k)
                alone.set(k, tiles[t].scores[static_cast<std::size_t>(k)]);
            TNM_CHECK(solve(alone.view(), {{n, m}}).flags() == kept[t]);
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
    const double scores[] = {-5.3682617068055497e-244,
                             0,
                             -3.9244148177529523e-245,
                             -4.9474452201452103e-235,
                             0,
                             0,
                             -9.1655057608829864e-246,
                             -9.435797035869288e-243,
                             -1.3337374268564833e-245};
    Array array(Dtype::float64, {3, 3});
    for (std::int64_t flat = 0; flat < 9; ++flat) array.set(flat, scores[flat]);
    check_optimal(array, {1, 3}, Score::identity);
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

// Both zeros are the same score.
void test_signed_zeros() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{6, 16}})
        for (const Dtype dtype : {Dtype::float16, Dtype::float32, Dtype::float64}) {
            Random random(760);
            Array plain(dtype, {2 * m, 70}), mixed(dtype, plain.shape());
            for (std::int64_t flat = 0; flat < plain.size(); ++flat) {
                const double value = std::max(0, random.between(-3, 2));
                plain.set(flat, value);
                mixed.set(flat, value == 0.0 && random.between(0, 1) ? -0.0 : value);
            }
            const Given given([&] { return join(plain.description(), ", ", n, ":", m); });
            TNM_CHECK(solve(plain.view(), {{n, m}, Method::optimal, Score::identity}).flags() ==
                      solve(mixed.view(), {{n, m}, Method::optimal, Score::identity}).flags());
        }
}

void test_every_dtype() {
    std::uint64_t seed = 800;
    for (const Dtype dtype : kDtypes)
        for (const Score score : {Score::abs, Score::square, Score::identity})
            for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{5, 16}})
                for (const Distribution distribution :
                     {Distribution::normal, Distribution::small_integers,
                      Distribution::near_overflow, Distribution::denormal}) {
                    const bool overflows = score == Score::square && dtype == Dtype::float64 &&
                                           distribution == Distribution::near_overflow;
                    if (!overflows)
                        check_filled(dtype, {m + 2, 2 * m + 1}, {n, m}, score, distribution,
                                     seed++);
                }
}

void test_integer_extremes() {
    for (const Dtype dtype : kDtypes) {
        if (!is_integer(dtype)) continue;
        const int bits = static_cast<int>(8 * item_size(dtype));
        Array array(dtype, {8, 8});
        for (std::int64_t flat = 0; flat < 64; ++flat) {
            const std::uint64_t top = std::uint64_t{1} << (bits - 1);
            const std::uint64_t patterns[] = {top, top - 1, ~std::uint64_t{0}, 0, 1, top + 1};
            array.set_bits(flat, dtype == Dtype::boolean ? static_cast<std::uint64_t>(flat % 3 == 0)
                                                         : patterns[flat * flat % 6]);
        }
        for (const Score score : {Score::abs, Score::square, Score::identity})
            check_optimal(array, {2, 4}, score);
    }
}

// The mask depends on the elements, not on how they lie in memory.
void test_every_layout() {
    std::uint64_t seed = 900;
    for (const Dtype dtype : kDtypes) {
        for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{7, 16}}) {
            const Shape shape = {2, 3, m + 1, 2 * m + 3};
            std::vector<std::uint8_t> expected;
            for (const Memory memory : kMemories) {
                Random random(seed);
                Array array(dtype, shape, memory);
                fill(array, Distribution::small_integers, random);
                const Given given([&] { return join(array.description(), ", ", n, ":", m); });
                const auto flags = solve(array.view(), {{n, m}}).flags();
                if (expected.empty()) expected = flags;
                TNM_CHECK(flags == expected);
                if (memory == Memory::mixed) check_optimal(array, {n, m}, Score::abs);
            }
            ++seed;
        }
    }
}

void test_every_mask_layout() {
    Random random(1000);
    Array array(Dtype::float32, {2, 19, 37});
    fill(array, Distribution::normal, random);
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{8, 16}}) {
        const auto expected = solve(array.view(), {{n, m}}).flags();
        for (const Memory memory : kMemories) {
            MaskArray mask(array.shape(), memory);
            const Given given([&] { return join(name_of(memory), " mask, ", n, ":", m); });
            const Status status =
                transposable_mask(array.view(), mask.view(), {{n, m}}, nullptr, {});
            TNM_CHECK(status == Status::ok);
            TNM_CHECK(mask.well_formed());
            TNM_CHECK(mask.flags() == expected);
        }
    }
}

// Stride 0, as np.broadcast_to makes it: all rows of all planes are the same memory.
void test_broadcast_input() {
    Random random(1100);
    Array row(Dtype::float32, {1, 1, 24}), whole(Dtype::float32, {3, 16, 24});
    fill(row, Distribution::normal, random);
    for (std::int64_t flat = 0; flat < whole.size(); ++flat) whole.set(flat, row.get(flat % 24));
    ArrayView view = row.view();
    view.layout.shape[0] = 3;
    view.layout.shape[1] = 16;
    view.layout.strides[0] = view.layout.strides[1] = 0;
    TNM_CHECK(solve(view, {{4, 8}}).flags() == solve(whole.view(), {{4, 8}}).flags());
}

void test_high_rank() {
    Shape shape(kMaxRank, 1);
    shape[0] = 2;
    shape[30] = 3;
    shape[kMaxRank - 2] = 9;
    shape[kMaxRank - 1] = 10;
    check_filled(Dtype::float32, shape, {2, 4}, Score::abs, Distribution::normal, 1200,
                 Memory::reversed);
}

void test_empty_arrays() {
    for (const Shape& shape :
         {Shape{0, 0}, Shape{0, 8}, Shape{8, 0}, Shape{0, 8, 8}, Shape{3, 0, 8}, Shape{2, 8, 0}}) {
        const Given given([&] { return join("shape ", name_of(shape)); });
        const Array array(Dtype::float32, shape);
        Certificate certificate(0, 4);
        CertificateView view = certificate.view();
        TNM_CHECK_EQUAL(solve(array.view(), {{2, 4}}, 2, &view).size(), 0);
    }
}

// Enough tiles that every thread gets some, certificates included.
void test_threads_agree() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{16, 32}}) {
        Random random(1300);
        Array array(Dtype::float32, {3, 70, 515});
        fill_tile_by_tile(array, m, random);
        const auto tiles = tiles_of(array, {n, m}, Score::abs).size();
        Certificate expected(tiles, m);
        CertificateView view = expected.view();
        const auto flags = solve(array.view(), {{n, m}}, 1, &view).flags();
        for (const int threads : {2, 7}) {
            const Given given([&] { return join(threads, " threads, ", n, ":", m); });
            Certificate certificate(tiles, m);
            view = certificate.view();
            TNM_CHECK(solve(array.view(), {{n, m}}, threads, &view).flags() == flags);
            TNM_CHECK(certificate == expected);
            TNM_CHECK(solve(array.view(), {{n, m}}, threads).flags() == flags);
        }
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    // Says so to ctest if this machine does not have the instruction set to be tested.
    if (!tnm::instruction_set_error().empty()) return 77;
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
            {"place_does_not_matter", test_place_does_not_matter},
            {"unlike_magnitudes", test_unlike_magnitudes},
            {"little_kept_beside_much_dropped", test_little_kept_beside_much_dropped},
            {"smallest_denormals", test_smallest_denormals},
            {"largest_doubles", test_largest_doubles},
            {"signed_zeros", test_signed_zeros},
            {"every_dtype", test_every_dtype},
            {"integer_extremes", test_integer_extremes},
            {"every_layout", test_every_layout},
            {"every_mask_layout", test_every_mask_layout},
            {"broadcast_input", test_broadcast_input},
            {"high_rank", test_high_rank},
            {"empty_arrays", test_empty_arrays},
            {"threads_agree", test_threads_agree},
        });
}
