#define TNM_ISA baseline
#include "retained/kernels/kernels_of_isa-inl.hpp"
