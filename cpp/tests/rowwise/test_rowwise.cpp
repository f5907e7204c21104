// Row-wise masks against sorting.
#include "tnm/rowwise.hpp"

#include "reference/approximate.hpp"
#include "support/check.hpp"
#include "support/values.hpp"

namespace tnm::test {
namespace {

MaskArray row_mask(const ArrayView& array, const Pattern& pattern, Score score, int threads = 1,
                   Memory memory = Memory::contiguous) {
    const auto begin = array.strides.shape.begin();
    MaskArray mask(Shape(begin, begin + array.strides.rank), memory);
    Execution execution;
    execution.threads = threads;
    TNM_CHECK(nm_mask(array, mask.view(), pattern, score, execution) == Status::ok);
    TNM_CHECK(mask.well_formed());
    return mask;
}

void check_rows(const Array& array, const Pattern& pattern, Score score) {
    const Given given([&] { return join(array.description(), ", ", pattern.n, ":", pattern.m); });
    const auto tiles = tiles_of(array, pattern, score);
    const auto kept = tiles_of(row_mask(array.view(), pattern, score), pattern.m);
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const Given which([&] { return tiles[t].description(); });
        TNM_CHECK(kept[t] == row_top(tiles[t]));
    }
}

void test_small_patterns() {
    std::uint64_t seed = 1;
    for (int m = 1; m <= 8; ++m)
        for (int n = 1; n <= m; ++n)
            for (const Distribution distribution : kDistributions) {
                const Given given([&] { return join(name_of(distribution), ", seed ", seed); });
                Random random(seed);
                Array array(seed % 5 < 3 ? Dtype::float32 : Dtype::float64,
                            {m + 1, 64 + 3 * m + m / 2});
                fill(array, distribution, random);
                check_rows(array, {n, m}, seed % 2 ? Score::identity : Score::abs);
                ++seed;
            }
}

void test_larger_patterns() {
    for (const auto& [n, m] : {std::pair{8, 16}, std::pair{1, 33}, std::pair{32, 64},
                               std::pair{63, 64}, std::pair{100, 128}, std::pair{128, 128}})
        for (const Distribution distribution :
             {Distribution::normal, Distribution::small_integers, Distribution::mostly_zero}) {
            Random random(static_cast<std::uint64_t>(n * m));
            Array array(Dtype::float32, {3, 3 * m + 5});
            fill(array, distribution, random);
            check_rows(array, {n, m}, Score::abs);
        }
}

// Rows are independent: the height of the matrix has nothing to do with m.
void test_any_number_of_rows() {
    for (int rows = 1; rows <= 9; ++rows) {
        Random random(static_cast<std::uint64_t>(rows));
        Array array(Dtype::int16, {2, rows, 11});
        fill(array, Distribution::negative, random);
        check_rows(array, {2, 4}, Score::identity);
        for (std::int64_t row = 0; row < 2 * rows; ++row) {
            const MaskArray mask = row_mask(array.view(), {2, 4}, Score::identity);
            for (int group = 0; group < 2; ++group) {
                int kept = 0;
                for (int j = 0; j < 4; ++j) kept += mask.get(row * 11 + group * 4 + j);
                TNM_CHECK_EQUAL(kept, 2);
            }
        }
    }
}

void test_dtypes_and_layouts() {
    for (const Dtype dtype : kDtypes)
        for (const Memory memory : kMemories) {
            Random random(9);
            Array array(dtype, {2, 5, 147}, memory);
            fill(array, Distribution::normal, random);
            for (const Score score : {Score::abs, Score::square, Score::identity})
                check_rows(array, {2, 4}, score);
            const auto expected = row_mask(array.view(), {3, 8}, Score::abs).flags();
            TNM_CHECK(row_mask(array.view(), {3, 8}, Score::abs, 1, memory).flags() == expected);
        }
}

// More than 64 groups, along rows and from row to row; arrays and masks in unlike orders.
void test_many_groups() {
    for (const Dtype dtype : {Dtype::int8, Dtype::float16, Dtype::float32, Dtype::float64})
        for (const Shape& shape : {Shape{150, 35}, Shape{3, 300}, Shape{2, 24, 150}})
            for (const Memory memory : kMemories)
                for (const Pattern& pattern : {Pattern{2, 4}, Pattern{4, 8}, Pattern{5, 11}}) {
                    Random random(static_cast<std::uint64_t>(pattern.m));
                    Array array(dtype, shape, memory);
                    fill(array, Distribution::small_integers, random);
                    const Given given(
                        [&] { return join(array.description(), ", m = ", pattern.m); });
                    check_rows(array, pattern, Score::identity);
                    const auto expected = row_mask(array.view(), pattern, Score::abs).flags();
                    for (const Memory order : {Memory::fortran, Memory::reversed, Memory::mixed})
                        TNM_CHECK(row_mask(array.view(), pattern, Score::abs, 1, order).flags() ==
                                  expected);
                }
}

void test_threads_agree() {
    Random random(10);
    Array array(Dtype::bfloat16, {3, 100, 1030});
    fill(array, Distribution::normal, random);
    const auto expected = row_mask(array.view(), {2, 4}, Score::abs).flags();
    for (const int threads : {2, 7})
        TNM_CHECK(row_mask(array.view(), {2, 4}, Score::abs, threads).flags() == expected);
}

void test_empty() {
    for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 4, 4}})
        TNM_CHECK_EQUAL(row_mask(Array(Dtype::float32, shape).view(), {2, 4}, Score::abs).size(),
                        0);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"small_patterns", test_small_patterns},
                         {"larger_patterns", test_larger_patterns},
                         {"any_number_of_rows", test_any_number_of_rows},
                         {"dtypes_and_layouts", test_dtypes_and_layouts},
                         {"many_groups", test_many_groups},
                         {"threads_agree", test_threads_agree},
                         {"empty", test_empty},
                     });
}
