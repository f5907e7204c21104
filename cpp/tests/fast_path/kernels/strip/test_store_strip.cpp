// Writing mask bits as bytes.
#include "fast_path/kernels/strip/store_strip-inl.hpp"

#include "fast_path/kernels/strips.hpp"

namespace tnm::test {
namespace {

void test_a_byte_for_every_bit() {
    constexpr int kRowStride = kStripColumns + 3;
    Random random(20);
    for (const int rows : {1, 4, 7, 64}) {
        std::vector<std::uint64_t> kept;
        for (int i = 0; i < rows; ++i) kept.push_back(random.bits());
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>((rows + 1) * kRowStride), 7);
        tnm::TNM_ISA::store_strip(kept.data(), rows, bytes.data(), kRowStride);
        for (std::size_t k = 0; k < bytes.size(); ++k) {
            const std::size_t row = k / kRowStride, column = k % kRowStride;
            const bool written = row < kept.size() && column < kStripColumns;
            TNM_CHECK_EQUAL(int{bytes[k]}, written ? int(kept[row] >> column & 1U) : 7);
        }
    }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv, {{"a_byte_for_every_bit", test_a_byte_for_every_bit}});
}

}  // namespace tnm::test
