#define TNM_ISA avx512
#include "retained/kernels/kernels_of_isa-inl.hpp"
