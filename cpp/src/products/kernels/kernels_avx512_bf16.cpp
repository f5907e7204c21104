#define TNM_ISA avx512_bf16
#include "products/kernels/bfloat16_panel-inl.hpp"
