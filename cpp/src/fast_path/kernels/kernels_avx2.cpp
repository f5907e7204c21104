#define TNM_ISA avx2
#include "fast_path/kernels/kernels_of_isa-inl.hpp"
