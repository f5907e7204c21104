#define TNM_ISA baseline
#include "rowwise/kernels/kernels_of_isa-inl.hpp"
