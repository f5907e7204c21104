// 2:4 masks of contiguous columns, from memory to memory.
#include "fast_path/kernels/four_by_four/column_major-inl.hpp"

#include <limits>

#include "fast_path/kernels/four_by_four/matrices.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

constexpr Pattern kPattern = {2, 4};
constexpr std::array kColumnMajorDtypes = {Dtype::float16, Dtype::bfloat16, Dtype::float32,
                                           Dtype::float64, Dtype::boolean,  Dtype::int8,
                                           Dtype::uint8};

struct Result {
    MaskBytes mask;
    std::vector<std::uint8_t> uncertain;  // by row of tiles
};

Result mask_columns(const Array& matrix, Score score, bool turned) {
    const auto rows = static_cast<int>(matrix.shape()[0]);
    Result result{{rows, kStripColumns},
                  std::vector<std::uint8_t>(static_cast<std::size_t>(rows / 4))};
    std::vector<std::int32_t> space(static_cast<std::size_t>(rows * kStripColumns / 4));
    const ColumnBlock block{matrix.bytes().data(),
                            rows * static_cast<std::int64_t>(item_size(matrix.dtype())), rows,
                            kStripColumns};
    isa::four_by_four_column_major(kPattern, matrix.dtype(), score, turned)(
        block, result.mask.bytes.data(), result.mask.row_stride, space.data(),
        result.uncertain.data());
    TNM_CHECK(result.mask.gaps_are_untouched(kStripColumns));
    return result;
}

int check(const Array& matrix, Score score, bool turned) {
    const Result result = mask_columns(matrix, score, turned);
    const std::vector<Tile> tiles = tiles_of(matrix, kPattern, score);
    constexpr int kTiles = kStripColumns / 4;
    int refused = 0;
    for (std::size_t row = 0; row < result.uncertain.size(); ++row) {
        bool may_be = false;
        for (int k = 0; k < kTiles; ++k) {
            const Tile& tile = tiles[row * kTiles + static_cast<std::size_t>(k)];
            if (result.uncertain[row])
                may_be = may_be || may_be_refused(tile, matrix.dtype(), score);
            else
                check_tile(tile, result.mask.tile(4 * static_cast<int>(row), 4 * k), turned);
        }
        TNM_CHECK_EQUAL(may_be, result.uncertain[row] != 0);
        refused += result.uncertain[row];
    }
    return refused;
}

void test_every_distribution() {
    Random random(15);
    int refused = 0, tile_rows = 0;
    for (const Dtype dtype : kColumnMajorDtypes)
        for (const Score score : kScores)
            for (const Distribution distribution : kDistributions) {
                const Given given(
                    [&] { return join(name_of(dtype), ", ", name_of(distribution)); });
                constexpr int rows = kRowsOfMaskColumnMajor;
                Array matrix(dtype, {rows, kStripColumns}, Memory::fortran);
                fill(matrix, distribution, random);
                for (const bool turned : {false, true}) {
                    refused += check(matrix, score, turned);
                    tile_rows += rows / 4;
                }
            }
    TNM_CHECK(0 < refused && refused < tile_rows / 2);
}

void test_marks_what_is_not_finite() {
    Random random(16);
    for (const Dtype dtype : kClosedFormDtypes)
        for (const Score score : kScores)
            for (const double special :
                 {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                  std::numeric_limits<double>::quiet_NaN()})
                for (int repeat = 0; repeat < 8; ++repeat) {
                    Array matrix(dtype, {2 * kRowsOfMaskColumnMajor, kStripColumns},
                                 Memory::fortran);
                    fill(matrix, Distribution::normal, random);
                    const int row = random.between(0, 2 * kRowsOfMaskColumnMajor - 1);
                    matrix.set(row * kStripColumns + random.between(0, kStripColumns - 1), special);
                    const Result result = mask_columns(matrix, score, repeat % 2 == 0);
                    TNM_CHECK_EQUAL(int{result.uncertain[static_cast<std::size_t>(row / 4)]}, 1);
                }
}

void test_only_what_it_is_made_for() {
    for (const Dtype dtype : kDtypes)
        for (const Score score : kScores) {
            const bool made = std::find(kColumnMajorDtypes.begin(), kColumnMajorDtypes.end(),
                                        dtype) != kColumnMajorDtypes.end();
            for (const bool turned : {false, true})
                TNM_CHECK_EQUAL(
                    isa::four_by_four_column_major(kPattern, dtype, score, turned) != nullptr,
                    made);
            for (const Pattern other : {Pattern{1, 4}, Pattern{3, 4}, Pattern{4, 8}, Pattern{2, 3}})
                TNM_CHECK(isa::four_by_four_column_major(other, dtype, score, false) == nullptr);
        }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"every_distribution", test_every_distribution},
                         {"marks_what_is_not_finite", test_marks_what_is_not_finite},
                         {"only_what_it_is_made_for", test_only_what_it_is_made_for},
                     });
}

}  // namespace tnm::test
