// Transposing every tile of a strip of 16-bit lanes in its field.
#include "fast_path/kernels/dual/transpose-inl.hpp"

#include "fast_path/kernels/strips.hpp"

namespace tnm::test {
namespace {

void test_every_entry_is_moved() {
    for (const int m : {4, 8, 16, 32, 64})
        by_field_width(m, []<int kW>() {
            const Given given([] { return join("fields of ", kW); });
            alignas(64) std::int16_t source[kW * kStripColumns], target[kW * kStripColumns];
            for (int k = 0; k < kW * kStripColumns; ++k)
                source[k] = static_cast<std::int16_t>(k * 31 - 20000);
            tnm::TNM_ISA::transpose_tiles<kW>(source, target);
            for (int first = 0; first < kStripColumns; first += kW)
                for (int i = 0; i < kW; ++i)
                    for (int j = 0; j < kW; ++j)
                        TNM_CHECK_EQUAL(target[j * kStripColumns + first + i],
                                        source[i * kStripColumns + first + j]);
        });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv, {{"every_entry_is_moved", test_every_entry_is_moved}});
}

}  // namespace tnm::test
