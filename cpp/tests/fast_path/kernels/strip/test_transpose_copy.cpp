// Copying a block of contiguous columns so that its rows are.
#include "fast_path/kernels/strip/transpose_copy-inl.hpp"

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
        for (const int rows : {1, 3, 16, 64, 67})
            for (const int columns : {1, 15, 32, 64, 70}) check_block(item, rows, columns, random);
        for (int repeat = 0; repeat < 10; ++repeat)
            check_block(item, random.between(1, 140), random.between(1, 140), random);
    }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv, {{"every_size", test_every_size}});
}

}  // namespace tnm::test
