// From array elements to the scores of one tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// Where elements begin, and how far apart rows and columns lie.
struct ElementsInMemory {
    const std::byte* data = nullptr;
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 0;

    ElementsInMemory from_column(std::int64_t column) const {
        return {data + column * column_stride, row_stride, column_stride};
    }
};

// A rectangle of array elements.
struct ElementBlock : ElementsInMemory {
    int rows = 0;
    int columns = 0;
};

// Writes the scores of the block to scores[i * stride + j] and returns whether all are finite.
using LoadScores = bool (*)(const ElementBlock& block, double* scores, int stride);

// The loader for one element type and score; memory is walked along its smaller stride.
LoadScores score_loader(Dtype dtype, Score score);

}  // namespace tnm
