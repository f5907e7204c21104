#define TNM_ISA avx512
#include "proof/kernels/kernels_of_isa-inl.hpp"
