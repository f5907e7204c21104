#define TNM_ISA avx512
#include "products/kernels/kernels_of_isa-inl.hpp"
