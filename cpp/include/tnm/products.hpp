// Matrices whose zeros are left out, and products with them, for any mask.
//
// A packed matrix A (rows x columns) is one piece of memory without pointers: it may be moved,
// copied and kept in files of the same machine. What multiplies is Y = X Aᵀ, the forward product of
// a layer with weight A; its input gradient is the same product with Aᵀ packed as a matrix of its
// own, from views with the axes swapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// The shape of a packed matrix and the type of its values: float32, bfloat16 or float16.
struct PackedShape {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t kept = 0;
    Dtype dtype = Dtype::float32;
};

// How many bytes pack() writes: a little over a value for each kept entry and a bit for each entry.
std::int64_t packed_bytes(const PackedShape& shape);

// Writes `packed`. `shape.kept` has to be the number of entries that the mask keeps, else the
// result is Status::invalid_argument. Values are kept as they are, NaN and infinity included.
Status pack(const ElementsView& weights, const ConstMaskView& mask, const PackedShape& shape,
            std::byte* packed, const Execution& execution);

// Takes new values of the same shape and keeps the mask.
Status update_packed(const ElementsView& weights, std::byte* packed, const Execution& execution);

// Writes values, zeros where nothing is kept, and the mask.
Status unpack(const std::byte* packed, const MutableElementsView& weights, const MaskView& mask,
              const Execution& execution);

// Writes the values row by row, and one bit for each entry row by row, the first in the lowest bit
// of a byte, unused bits zero.
Status rows_of_packed(const std::byte* packed, std::byte* values, std::uint8_t* bits,
                      const Execution& execution);

// The way back. Sets `kept` to how many bits are set; the result is Status::invalid_argument if
// that is not `shape.kept`.
Status pack_rows(const std::byte* values, const std::uint8_t* bits, const PackedShape& shape,
                 std::byte* packed, std::int64_t& kept, const Execution& execution);

// What a piece of memory holds by its first bytes, or nothing if these are not of a packed matrix
// of that size.
std::optional<PackedShape> packed_shape(const std::byte* packed, std::size_t bytes);

// Whether it is a packed matrix in which everything agrees that products rely on: no content of it
// can make them leave its bounds then. For memory that comes from elsewhere than pack().
bool is_consistent(const std::byte* packed, std::size_t bytes);

// Applied to Y + bias, in float32.
enum class Activation : std::uint8_t {
    none,
    relu,
    gelu,       // x Φ(x)
    gelu_tanh,  // its approximation by tanh
    silu,       // x / (1 + exp(-x))
};

struct Product {
    const std::byte* packed = nullptr;
    ArrayView activations;        // (..., tokens, columns), of the values' dtype
    MutableArrayView result;      // (..., tokens, rows), of any of the three dtypes
    const float* bias = nullptr;  // rows
    Activation activation = Activation::none;
};

// Writes `result`. Entries that are not kept contribute nothing, whatever the activations hold.
// Sums are in float32; their order depends on the number of tokens, and not on that of threads.
Status multiply(const Product& product, const Execution& execution);

}  // namespace tnm
