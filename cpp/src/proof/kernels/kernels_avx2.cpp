#define TNM_ISA avx2
#include "proof/kernels/kernels_of_isa-inl.hpp"
