// The instruction sets that kernels are compiled for, and the one choice among them.
#pragma once

#include <string>
#include <vector>

namespace tnm {

// Plainest first. Each is the name of the namespace that its kernels are in. The last one adds
// products of bfloat16 to avx512, and nothing else: other kernels are those of avx512.
enum class InstructionSet { baseline, avx2, avx512, avx512_bf16 };

const char* name_of(InstructionSet set);

// Those that this build holds kernels for, plainest first.
std::vector<InstructionSet> built_instruction_sets();

// Whether this machine has it.
bool is_supported(InstructionSet set);

struct InstructionSetChoice {
    InstructionSet set = InstructionSet::baseline;
    std::string error;  // empty unless TNM_FORCE_ISA names what cannot be used
};

// The widest that this machine has, or what TNM_FORCE_ISA names. Chosen once, at first use.
const InstructionSetChoice& choose_instruction_set();

}  // namespace tnm
