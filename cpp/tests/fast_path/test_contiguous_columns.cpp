// Arrays whose columns are contiguous in memory go by roads of their own: the masks and prices must
// be those of a copy in C order. Shapes reach over several panels and blocks, and past their ends.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "fast_path/strip_kernels.hpp"
#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"
#include "tnm/rowwise.hpp"

namespace tnm::test {
namespace {

struct Columns {
    std::int64_t offset;  // of the first byte from an aligned address
    std::int64_t gap;     // bytes between columns
    bool backwards;       // the last column comes first
};
constexpr Columns kColumns[] = {{0, 0, false}, {1, 3, false}, {0, 64, true}, {7, 0, true}};

// The elements of a contiguous matrix, column after column; no byte more is allocated.
class ColumnMajor {
  public:
    ColumnMajor(const Array& matrix, const Columns& columns) : view_(matrix.view()) {
        const auto item = static_cast<std::int64_t>(item_size(matrix.dtype()));
        const std::int64_t rows = view_.strides.rows(), count = view_.strides.columns();
        const std::int64_t stride = rows * item + columns.gap;
        buffer_.resize(
            static_cast<std::size_t>(columns.offset + (count - 1) * stride + rows * item));
        const std::int64_t first = columns.offset + (columns.backwards ? (count - 1) * stride : 0);
        view_.strides.bytes[0] = item;
        view_.strides.bytes[1] = columns.backwards ? -stride : stride;
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < count; ++j)
                std::memcpy(buffer_.data() + first + i * item + j * view_.strides.bytes[1],
                            matrix.bytes().data() + (i * count + j) * item,
                            static_cast<std::size_t>(item));
        view_.data = buffer_.data() + first;
    }

    const ArrayView& view() const { return view_; }

  private:
    ArrayView view_;
    std::vector<std::byte> buffer_;
};

std::vector<std::uint8_t> rowwise(const ArrayView& view, const Shape& shape,
                                  const Pattern& pattern) {
    MaskArray mask(shape);
    TNM_CHECK(nm_mask(view, mask.view(), pattern, Score::abs, Execution{}) == Status::ok);
    return mask.flags();
}

void check_same(const Array& matrix, const Columns& columns, const Pattern& pattern, Score score) {
    const Given given([&] {
        return join(matrix.description(), ", ", pattern.n, ":", pattern.m, ", offset ",
                    columns.offset, ", gap ", columns.gap, columns.backwards ? ", backwards" : "");
    });
    const ColumnMajor turned(matrix, columns);
    const auto expected = solve(matrix.view(), {pattern, Method::optimal, score}).flags();
    for (const int threads : {1, 3})
        TNM_CHECK(solve(turned.view(), {pattern, Method::optimal, score}, threads).flags() ==
                  expected);
    TNM_CHECK(rowwise(turned.view(), matrix.shape(), pattern) ==
              rowwise(matrix.view(), matrix.shape(), pattern));
}

Array filled(Dtype dtype, const Shape& shape, int m, std::uint64_t seed) {
    Random random(seed);
    Array matrix(dtype, shape);
    fill_tile_by_tile(matrix, m, random);
    return matrix;
}

void test_every_dtype() {
    std::uint64_t seed = 1;
    for (const Dtype dtype : kDtypes)
        for (const auto& [n, m] : {std::pair{2, 4}, std::pair{1, 4}, std::pair{3, 6},
                                   std::pair{8, 16}, std::pair{16, 32}}) {
            const Columns& columns = kColumns[seed % 4];
            check_same(filled(dtype, {150, 3 * m + 64}, m, seed), columns, {n, m}, Score::abs);
            ++seed;
        }
}

void test_every_field_width() {
    std::uint64_t seed = 100;
    for (const auto& [n, m] :
         {std::pair{1, 2}, std::pair{2, 3}, std::pair{2, 5}, std::pair{4, 8}, std::pair{3, 12},
          std::pair{10, 20}, std::pair{20, 40}, std::pair{32, 64}})
        for (const Score score : {Score::abs, Score::square, Score::identity}) {
            const Columns& columns = kColumns[seed % 4];
            check_same(filled(Dtype::float32, {2 * m + 67, 4 * m + 70}, m, seed++), columns, {n, m},
                       score);
        }
}

// Blocks of 2:4 are 2048 x 64, those of other patterns some panels of 64 x 256 or so.
void test_several_blocks() {
    std::uint64_t seed = 200;
    for (const Dtype dtype : {Dtype::bfloat16, Dtype::float32, Dtype::float64})
        for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}})
            for (const Distribution distribution :
                 {Distribution::normal, Distribution::mostly_zero}) {
                Random random(seed);
                Array matrix(dtype, {4 * 543 + 2, 131});
                fill(matrix, distribution, random);
                for (const Score score : {Score::abs, Score::identity})
                    check_same(matrix, kColumns[seed % 4], {n, m}, score);
                ++seed;
            }
    check_same(filled(Dtype::float32, {70, 700}, 8, 300), kColumns[0], {4, 8}, Score::abs);
}

// Scores whose sums floats cannot tell apart, in one row of tiles among others: there, 2:4 must not
// be left to floats.
void test_rounding_does_not_decide() {
    for (const Score score : {Score::abs, Score::identity}) {
        Random random(350);
        Array matrix(Dtype::float32, {512, 128});
        fill(matrix, Distribution::normal, random);
        for (std::int64_t flat = 40 * 128; flat < 44 * 128; ++flat)
            matrix.set(flat, 8388608.0 + random.between(0, 7));
        check_same(matrix, kColumns[0], {2, 4}, score);
        check_optimal(matrix, {2, 4}, score);
    }
}

void test_certificates() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{5, 12}}) {
        const Array matrix = filled(Dtype::float32, {150, 300}, m, 400);
        const ColumnMajor turned(matrix, kColumns[1]);
        const auto tiles = tiles_of(matrix, {n, m}, Score::abs).size();
        Certificate expected(tiles, m);
        CertificateView view = expected.view();
        const auto flags = solve(matrix.view(), {{n, m}}, 1, &view).flags();
        for (const int threads : {1, 3}) {
            Certificate certificate(tiles, m);
            view = certificate.view();
            TNM_CHECK(solve(turned.view(), {{n, m}}, threads, &view).flags() == flags);
            TNM_CHECK(certificate == expected);
        }
    }
}

// A stride of 0: every column is the same memory.
void test_broadcast_column() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}}) {
        const Array column = filled(Dtype::float32, {160, 1}, 1, 500);
        Array whole(Dtype::float32, {160, 130});
        for (std::int64_t flat = 0; flat < whole.size(); ++flat)
            whole.set(flat, column.get(flat / 130));
        ArrayView view = column.view();
        view.strides.shape[1] = 130;
        view.strides.bytes[1] = 0;
        TNM_CHECK(solve(view, {{n, m}}).flags() == solve(whole.view(), {{n, m}}).flags());
    }
}

void test_non_finite() {
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}})
        for (const std::int64_t place : {0, 5000, 199 * 90 - 1}) {
            Array matrix = filled(Dtype::float32, {199, 90}, m, 600);
            matrix.set(place, INFINITY);
            MaskArray mask(matrix.shape());
            const ColumnMajor turned(matrix, kColumns[0]);
            TNM_CHECK(transposable_mask(turned.view(), mask.view(), {{n, m}}, nullptr, {}) ==
                      Status::non_finite_score);
        }
}

void check_copy(int item, int rows, int columns, bool backwards) {
    const Given given([&] {
        return join(item, " bytes, ", rows, " x ", columns, backwards ? ", backwards" : "");
    });
    const int stride = rows * item + 3, target_stride = columns * item + 5;
    std::vector<std::byte> source(static_cast<std::size_t>(columns * stride));
    Random random(static_cast<std::uint64_t>(rows * 1000 + columns));
    for (std::byte& byte : source) byte = static_cast<std::byte>(random.between(0, 255));
    std::vector<std::byte> target(static_cast<std::size_t>(rows * target_stride), std::byte{9});
    std::vector<std::byte> expected = target;
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) {
            const int column = backwards ? columns - 1 - j : j;
            std::copy_n(source.begin() + column * stride + i * item, item,
                        expected.begin() + i * target_stride + j * item);
        }
    const std::byte* first = source.data() + (backwards ? (columns - 1) * stride : 0);
    const ColumnBlock block{first, backwards ? -stride : stride, rows, columns};
    copy_kernels().transposing_copy(item)(block, target.data(), target_stride);
    TNM_CHECK(target == expected);
}

void test_copies() {
    for (const int item : {1, 2, 4, 8})
        for (const int rows : {1, 7, 8, 16, 19, 64, 67, 130})
            for (const int columns : {1, 4, 15, 32, 33, 64, 101})
                check_copy(item, rows, columns, (rows + columns) % 2 == 0);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"copies", test_copies},
                         {"every_dtype", test_every_dtype},
                         {"every_field_width", test_every_field_width},
                         {"several_blocks", test_several_blocks},
                         {"rounding_does_not_decide", test_rounding_does_not_decide},
                         {"certificates", test_certificates},
                         {"broadcast_column", test_broadcast_column},
                         {"non_finite", test_non_finite},
                     });
}
