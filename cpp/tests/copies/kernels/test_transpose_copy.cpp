// Copying a block of contiguous columns, and rows with steps, so that rows are contiguous.
#include "copies/kernels/transpose_copy-inl.hpp"

#include "fast_path/kernels/strips.hpp"

namespace tnm::test {
namespace {

// Every byte of the source is read from its own place, and none beyond the block is written.
void check_block(int item, int rows, int columns, Random& random) {
    const Given given([&] { return join(rows, " x ", columns, " items of ", item, " bytes"); });
    const int column_stride = (rows + 3) * item, row_stride = (columns + 5) * item;
    std::vector<std::byte> source(static_cast<std::size_t>(columns * column_stride - 3 * item));
    for (std::byte& byte : source) byte = static_cast<std::byte>(random.between(0, 254));
    std::vector<std::byte> target(static_cast<std::size_t>(rows * row_stride), std::byte{255});
    const ColumnBlock block{source.data(), column_stride, rows, columns};
    tnm::TNM_ISA::transposing_copy(item)(block, target.data(), row_stride);
    for (int i = 0; i < rows; ++i)
        for (int k = 0; k < row_stride; ++k) {
            const int j = k / item, byte = k % item;
            const std::byte expected =
                j < columns ? source[static_cast<std::size_t>(j * column_stride + i * item + byte)]
                            : std::byte{255};
            TNM_CHECK(target[static_cast<std::size_t>(i * row_stride + k)] == expected);
        }
}

void test_every_size() {
    Random random(21);
    for (const int item : {1, 2, 4, 8}) {
        for (const int rows : {1, 3, 5, 9, 16, 64, 67})
            for (const int columns : {1, 4, 15, 32, 64, 70})
                check_block(item, rows, columns, random);
        for (int repeat = 0; repeat < 10; ++repeat)
            check_block(item, random.between(1, 140), random.between(1, 140), random);
    }
}

// No byte is read beyond the last element.
void check_strided_row(int item, int step, int count, Random& random) {
    const Given given([&] { return join(count, " items of ", item, " bytes, step ", step); });
    const int distance = step < 0 ? -step : step;
    std::vector<std::byte> source(static_cast<std::size_t>(((count - 1) * distance + 1) * item));
    for (std::byte& byte : source) byte = static_cast<std::byte>(random.between(0, 255));
    const std::byte* first = source.data() + (step < 0 ? (count - 1) * distance * item : 0);
    std::vector<std::byte> target(static_cast<std::size_t>(count * item));
    tnm::TNM_ISA::strided_row_copy(item)(first, step * item, count, target.data());
    for (int k = 0; k < count * item; ++k)
        TNM_CHECK(target[static_cast<std::size_t>(k)] == first[k / item * step * item + k % item]);
}

void test_strided_rows() {
    Random random(22);
    for (const int item : {1, 2, 4, 8})
        for (const int step : {-3, -2, -1, 0, 1, 2, 3, 9})
            for (const int count : {1, 2, 31, 32, 33, 64, 65, 130})
                check_strided_row(item, step, count, random);
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {{"every_size", test_every_size}, {"strided_rows", test_strided_rows}});
}

}  // namespace tnm::test
