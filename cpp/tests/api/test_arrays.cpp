// Method::optimal, whatever the elements, their memory, their place and the number of threads.
#include <algorithm>

#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"

namespace tnm::test {
namespace {

void test_every_dtype() {
    std::uint64_t seed = 800;
    for (const Dtype dtype : kDtypes)
        for (const Score score : {Score::abs, Score::square, Score::identity})
            for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{5, 16}})
                for (const Distribution distribution :
                     {Distribution::normal, Distribution::small_integers,
                      Distribution::near_overflow, Distribution::denormal}) {
                    const bool beyond_double = score == Score::square && dtype == Dtype::float64 &&
                                               (distribution == Distribution::near_overflow ||
                                                distribution == Distribution::denormal);
                    if (!beyond_double)
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
    view.strides.shape[0] = 3;
    view.strides.shape[1] = 16;
    view.strides.bytes[0] = view.strides.bytes[1] = 0;
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

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"every_dtype", test_every_dtype},
                         {"integer_extremes", test_integer_extremes},
                         {"every_layout", test_every_layout},
                         {"every_mask_layout", test_every_mask_layout},
                         {"broadcast_input", test_broadcast_input},
                         {"high_rank", test_high_rank},
                         {"empty_arrays", test_empty_arrays},
                         {"threads_agree", test_threads_agree},
                         {"signed_zeros", test_signed_zeros},
                         {"place_does_not_matter", test_place_does_not_matter},
                     });
}
