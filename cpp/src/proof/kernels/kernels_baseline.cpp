#define TNM_ISA baseline
#include "proof/kernels/kernels_of_isa-inl.hpp"
