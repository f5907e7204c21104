#include "tnm/build_info.hpp"

#include "fast_path/strip_kernels.hpp"

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
    for (const StripKernels* kernels : built_strip_kernels()) names.emplace_back(kernels->name);
    return names;
}

std::string instruction_set() {
    return strip_kernels().name;
}

std::string instruction_set_error() {
    return choose_strip_kernels().error;
}

}  // namespace tnm
