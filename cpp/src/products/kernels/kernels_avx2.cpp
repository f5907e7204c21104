#define TNM_ISA avx2
#include "products/kernels/kernels_of_isa-inl.hpp"
