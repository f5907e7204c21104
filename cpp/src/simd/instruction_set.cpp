#include "simd/instruction_set.hpp"

#include <cstdlib>

namespace tnm {

// What the compiler's options for the kernels (cpp/CMakeLists.txt) let them use.
bool is_supported([[maybe_unused]] InstructionSet set) {
#if defined(TNM_BUILD_X86_KERNELS)
    if (set == InstructionSet::avx512_bf16)
        return is_supported(InstructionSet::avx512) && __builtin_cpu_supports("avx512bf16");
    if (set == InstructionSet::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
    if (set == InstructionSet::avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return true;
}

namespace {

InstructionSetChoice choose() {
    InstructionSetChoice choice;
    const char* forced = std::getenv("TNM_FORCE_ISA");
    const bool any = forced == nullptr || *forced == '\0';
    std::string usable;
    bool found = any;
    for (const InstructionSet set : built_instruction_sets()) {
        if (!is_supported(set)) continue;
        usable += (usable.empty() ? "" : ", ") + std::string(name_of(set));
        const bool wanted = any || forced == std::string(name_of(set));
        if (wanted) choice.set = set;
        found = found || wanted;
    }
    if (!found)
        choice.error = "TNM_FORCE_ISA is '" + std::string(forced) +
                       "', expected one of those that this build and this machine have: " + usable +
                       "; or unset it to use the widest";
    return choice;
}

}  // namespace

const char* name_of(InstructionSet set) {
    constexpr const char* kNames[] = {"baseline", "avx2", "avx512", "avx512_bf16"};
    return kNames[static_cast<int>(set)];
}

std::vector<InstructionSet> built_instruction_sets() {
#if defined(TNM_BUILD_X86_KERNELS)
    return {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512,
            InstructionSet::avx512_bf16};
#else
    return {InstructionSet::baseline};
#endif
}

const InstructionSetChoice& choose_instruction_set() {
    static const InstructionSetChoice choice = choose();
    return choice;
}

}  // namespace tnm
