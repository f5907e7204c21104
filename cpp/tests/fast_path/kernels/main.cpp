// main() of the tests that are compiled with the flags of one instruction set. It is compiled
// without them, so that it can tell a machine that lacks the set.
#include <cstdio>

#include "fast_path/kernels/strips.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {
extern const StripKernels kStripKernels;
}

int main(int argc, char** argv) {
    if (tnm::TNM_ISA::kStripKernels.supported()) return tnm::test::test_stage(argc, argv);
    std::puts("this machine lacks the instruction set");
    return 77;
}
