// How the matrices of a batch, and their rows, lie in memory.
#pragma once

#include <cstdlib>

#include "tnm/array_view.hpp"

namespace tnm {

// Whether rows lie next to each other: then many are taken at once.
inline bool lies_across(const Strides& strides) {
    return std::llabs(strides.row_stride()) < std::llabs(strides.column_stride());
}

// Whether planes lie one after another, as their rows do.
inline bool is_one_matrix(const Strides& strides) {
    std::int64_t next = strides.rows() * strides.row_stride();
    for (int axis = strides.rank - 3; axis >= 0; --axis) {
        // The stride of a single one means nothing.
        if (strides.shape[axis] == 1) continue;
        if (strides.bytes[axis] != next) return false;
        next = strides.shape[axis] * strides.bytes[axis];
    }
    return true;
}

inline Strides as_one_matrix(const Strides& strides) {
    Strides matrix;
    matrix.rank = 2;
    matrix.shape[0] = strides.planes() * strides.rows();
    matrix.shape[1] = strides.columns();
    matrix.bytes[0] = strides.row_stride();
    matrix.bytes[1] = strides.column_stride();
    return matrix;
}

}  // namespace tnm
