#define TNM_ISA avx2
#include "solvers/exact/kernels/kernels_of_isa-inl.hpp"
