#define TNM_ISA baseline
#include "fast_path/kernels/kernels_of_isa-inl.hpp"
