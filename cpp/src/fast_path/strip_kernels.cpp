#include "fast_path/strip_kernels.hpp"

#include <cstdlib>

namespace tnm {

namespace baseline {
extern const StripKernels kStripKernels;
}
#if defined(TNM_BUILD_X86_KERNELS)
namespace avx2 {
extern const StripKernels kStripKernels;
}
namespace avx512 {
extern const StripKernels kStripKernels;
}
#endif

std::vector<const StripKernels*> built_strip_kernels() {
    return {
        &baseline::kStripKernels,
#if defined(TNM_BUILD_X86_KERNELS)
        &avx2::kStripKernels,
        &avx512::kStripKernels,
#endif
    };
}

namespace {

KernelChoice choose() {
    KernelChoice choice{nullptr, {}};
    const char* forced = std::getenv("TNM_FORCE_ISA");
    const bool any = forced == nullptr || *forced == '\0';
    std::string usable;
    bool found = any;
    for (const StripKernels* kernels : built_strip_kernels()) {
        if (!kernels->supported()) continue;
        usable += (usable.empty() ? "" : ", ") + std::string(kernels->name);
        const bool wanted = any || forced == std::string(kernels->name);
        if (choice.kernels == nullptr || wanted) choice.kernels = kernels;
        found = found || wanted;
    }
    if (!found)
        choice.error = "TNM_FORCE_ISA is '" + std::string(forced) +
                       "', expected one of those that this build and this machine have: " + usable +
                       "; or unset it to use the widest";
    return choice;
}

}  // namespace

const KernelChoice& choose_strip_kernels() {
    static const KernelChoice choice = choose();
    return choice;
}

}  // namespace tnm
