#define TNM_ISA baseline
#include "tiles/kernels/kernels_of_isa-inl.hpp"
