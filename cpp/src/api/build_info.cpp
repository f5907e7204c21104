#include "tnm/build_info.hpp"

#include "simd/instruction_set.hpp"

namespace tnm {

const char* version() {
    return TNM_VERSION;
}

const char* compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}

std::vector<std::string> instruction_sets_built() {
    std::vector<std::string> names;
    for (const InstructionSet set : built_instruction_sets()) names.emplace_back(name_of(set));
    return names;
}

std::string instruction_set() {
    return name_of(choose_instruction_set().set);
}

std::string instruction_set_error() {
    return choose_instruction_set().error;
}

}  // namespace tnm
