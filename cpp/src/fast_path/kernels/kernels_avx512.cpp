#define TNM_ISA avx512
#include "fast_path/kernels/kernels_of_isa-inl.hpp"
