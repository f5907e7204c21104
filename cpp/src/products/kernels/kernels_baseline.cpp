#define TNM_ISA baseline
#include "products/kernels/kernels_of_isa-inl.hpp"
