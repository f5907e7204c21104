#define TNM_ISA avx512
#include "solvers/exact/kernels/kernels_of_isa-inl.hpp"
