#define TNM_ISA baseline
#include "copies/kernels/kernels_of_isa-inl.hpp"
