#define TNM_ISA baseline
#include "counting/regular/kernels/kernels_of_isa-inl.hpp"
