#define TNM_ISA baseline
#include "solvers/exact/kernels/kernels_of_isa-inl.hpp"
