// What this build of the library is, and which instruction set it uses on this machine.
#pragma once

#include <string>
#include <vector>

namespace tnm {

const char* version();
const char* compiler();

// Names of the instruction sets that this build holds code for, plainest first: "baseline" and, on
// x86-64, "avx2" and "avx512".
std::vector<std::string> instruction_sets_built();

// The one in use: the widest that was built and that this machine has, or the one that the
// environment variable TNM_FORCE_ISA names. Chosen once, at first use. Masks do not depend on it.
std::string instruction_set();

// Why TNM_FORCE_ISA cannot be obeyed, with what can be used here; empty if all is well.
std::string instruction_set_error();

}  // namespace tnm
