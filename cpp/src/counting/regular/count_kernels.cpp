#include "counting/regular/count_pass.hpp"
#include "tnm/build_info.hpp"

namespace tnm {

namespace baseline {
extern const CountKernels kCountKernels;
}
#if defined(TNM_BUILD_X86_KERNELS)
namespace avx2 {
extern const CountKernels kCountKernels;
}
namespace avx512 {
extern const CountKernels kCountKernels;
}
#endif

namespace {

const CountKernels& choose() {
#if defined(TNM_BUILD_X86_KERNELS)
    const std::string name = instruction_set();
    for (const CountKernels* kernels : {&avx2::kCountKernels, &avx512::kCountKernels})
        if (name == kernels->name) return *kernels;
#endif
    return baseline::kCountKernels;
}

}  // namespace

const CountKernels& count_kernels() {
    static const CountKernels& choice = choose();
    return choice;
}

}  // namespace tnm
