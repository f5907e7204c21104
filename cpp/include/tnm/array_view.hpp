// Views of strided n-dimensional arrays that somebody else owns.
//
// The last two axes are the matrix, all leading axes are a batch. Strides are in bytes and may be
// negative or zero, as in NumPy; elements need not be aligned.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tnm/dtype.hpp"

namespace tnm {

inline constexpr int kMaxRank = 64;

// The shape of an array, and how many bytes lie between neighbours along each axis.
struct Strides {
    int rank = 0;
    std::array<std::int64_t, kMaxRank> shape{};
    std::array<std::int64_t, kMaxRank> bytes{};

    std::int64_t rows() const { return shape[rank - 2]; }
    std::int64_t columns() const { return shape[rank - 1]; }
    std::int64_t row_stride() const { return bytes[rank - 2]; }
    std::int64_t column_stride() const { return bytes[rank - 1]; }

    // The last batch axis; one matrix where there is none.
    std::int64_t last_batch_count() const { return rank > 2 ? shape[rank - 3] : 1; }
    std::int64_t last_batch_stride() const { return rank > 2 ? bytes[rank - 3] : 0; }

    // Number of matrices in the batch.
    std::int64_t planes() const {
        std::int64_t count = 1;
        for (int axis = 0; axis < rank - 2; ++axis) count *= shape[axis];
        return count;
    }

    // Byte offset of matrix `plane`, counted in C order over the batch axes.
    std::int64_t plane_offset(std::int64_t plane) const {
        std::int64_t offset = 0;
        for (int axis = rank - 3; axis >= 0; --axis) {
            offset += (plane % shape[axis]) * bytes[axis];
            plane /= shape[axis];
        }
        return offset;
    }

    // Byte offset of an element of that matrix.
    std::int64_t offset(std::int64_t plane, std::int64_t row, std::int64_t column) const {
        return plane_offset(plane) + row * row_stride() + column * column_stride();
    }
};

struct ArrayView {
    const std::byte* data = nullptr;
    Dtype dtype = Dtype::float32;
    Strides strides;
};

struct MutableArrayView {
    std::byte* data = nullptr;
    Dtype dtype = Dtype::float32;
    Strides strides;
};

// Elements of any type, told apart by their size alone (1, 2, 4, 8 or 16 bytes).
struct ElementsView {
    const std::byte* data = nullptr;
    std::size_t item_size = 0;
    Strides strides;
};

struct MutableElementsView {
    std::byte* data = nullptr;
    std::size_t item_size = 0;
    Strides strides;
};

// One byte per flag, 0 or 1.
struct MaskView {
    std::uint8_t* data = nullptr;
    Strides strides;
};

struct ConstMaskView {
    const std::uint8_t* data = nullptr;
    Strides strides;
};

}  // namespace tnm
