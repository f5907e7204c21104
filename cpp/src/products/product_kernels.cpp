#include "products/product_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(ProductKernels, kProductKernels, product_kernels)

#if defined(TNM_BUILD_X86_KERNELS)
namespace avx512_bf16 {
extern const PanelKernels kBfloat16Kernels;
}
const PanelKernels* bfloat16_kernels() {
    const bool has_them = choose_instruction_set().set == InstructionSet::avx512_bf16;
    return has_them ? &avx512_bf16::kBfloat16Kernels : nullptr;
}
#else
const PanelKernels* bfloat16_kernels() {
    return nullptr;
}
#endif

}  // namespace tnm
