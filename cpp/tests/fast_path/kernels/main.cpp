// main() of the tests that are compiled with the flags of one instruction set. It is compiled
// without them, so that it can tell a machine that lacks the set.
#include <cstdio>

#include "fast_path/kernels/strips.hpp"
#include "simd/instruction_set.hpp"

int main(int argc, char** argv) {
    if (tnm::is_supported(tnm::InstructionSet::TNM_ISA)) return tnm::test::test_stage(argc, argv);
    std::puts("this machine lacks the instruction set");
    return 77;
}
