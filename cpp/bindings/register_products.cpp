// Packed matrices and products with them.
#include "tnm/products.hpp"

#include <pybind11/stl.h>

#include "convert.hpp"
#include "names.hpp"
#include "register.hpp"

namespace tnm::python {
namespace {

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

// In the order of the enumerators.
constexpr const char* kActivations[] = {"none", "relu", "gelu", "gelu_tanh", "silu"};

ElementsView elements_view(const py::array& array) {
    return {static_cast<const std::byte*>(array.data()), static_cast<std::size_t>(array.itemsize()),
            strides_of(array)};
}

PackedShape shape_of(std::int64_t rows, std::int64_t columns, std::int64_t kept,
                     const std::string& dtype) {
    return {rows, columns, kept, dtype_of(dtype)};
}

const std::byte* data_of(const Bytes& packed) {
    return reinterpret_cast<const std::byte*>(packed.data());
}

std::int64_t bytes_of(std::int64_t rows, std::int64_t columns, std::int64_t kept,
                      const std::string& dtype) {
    return packed_bytes(shape_of(rows, columns, kept, dtype));
}

void pack_matrix(const py::array& weights, const std::string& dtype, const py::array& mask,
                 std::int64_t kept, Bytes packed, int threads) {
    const ElementsView elements = elements_view(weights);
    const ConstMaskView flags = const_mask_view(mask);
    const PackedShape shape = shape_of(weights.shape(0), weights.shape(1), kept, dtype);
    auto* target = reinterpret_cast<std::byte*>(packed.mutable_data());
    run(threads, [&](const Execution& execution) {
        return pack(elements, flags, shape, target, execution);
    });
}

void update_matrix(const py::array& weights, Bytes packed, int threads) {
    const ElementsView elements = elements_view(weights);
    auto* target = reinterpret_cast<std::byte*>(packed.mutable_data());
    run(threads,
        [&](const Execution& execution) { return update_packed(elements, target, execution); });
}

void unpack_matrix(const Bytes& packed, py::array weights, py::array mask, int threads) {
    const MutableElementsView elements{static_cast<std::byte*>(weights.mutable_data()),
                                       static_cast<std::size_t>(weights.itemsize()),
                                       strides_of(weights)};
    const MaskView flags{static_cast<std::uint8_t*>(mask.mutable_data()), strides_of(mask)};
    const std::byte* source = data_of(packed);
    run(threads,
        [&](const Execution& execution) { return unpack(source, elements, flags, execution); });
}

void rows_of_matrix(const Bytes& packed, py::array values, Bytes bits, int threads) {
    const std::byte* source = data_of(packed);
    auto* value_bytes = static_cast<std::byte*>(values.mutable_data());
    std::uint8_t* mask_bits = bits.mutable_data();
    run(threads, [&](const Execution& execution) {
        return rows_of_packed(source, value_bytes, mask_bits, execution);
    });
}

// Returns how many bits are set; nothing is packed unless there are as many values.
std::int64_t pack_matrix_rows(const py::array& values, const std::string& dtype, const Bytes& bits,
                              std::int64_t rows, std::int64_t columns, Bytes packed, int threads) {
    const PackedShape shape{rows, columns, values.size(), dtype_of(dtype)};
    const auto* value_bytes = static_cast<const std::byte*>(values.data());
    const std::uint8_t* mask_bits = bits.data();
    auto* target = reinterpret_cast<std::byte*>(packed.mutable_data());
    std::int64_t kept = 0;
    run(threads, [&](const Execution& execution) {
        const Status status = pack_rows(value_bytes, mask_bits, shape, target, kept, execution);
        return status == Status::invalid_argument ? Status::ok : status;
    });
    return kept;
}

// rows, columns, how many are kept, dtype; None if the first bytes are not of a packed matrix of
// that size.
std::optional<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::string>> shape_of_packed(
    const Bytes& packed) {
    const auto shape = packed_shape(data_of(packed), static_cast<std::size_t>(packed.nbytes()));
    if (!shape) return std::nullopt;
    return std::tuple(shape->rows, shape->columns, shape->kept, name_of_dtype(shape->dtype));
}

bool is_consistent_matrix(const Bytes& packed) {
    const py::gil_scoped_release release;
    return is_consistent(data_of(packed), static_cast<std::size_t>(packed.nbytes()));
}

void multiply_matrix(const Bytes& packed, const py::array& activations, const std::string& dtype,
                     py::array result, const std::string& result_dtype,
                     const std::optional<Floats>& bias, const std::string& activation,
                     int threads) {
    Product product;
    product.packed = data_of(packed);
    product.activations = {static_cast<const std::byte*>(activations.data()), dtype_of(dtype),
                           strides_of(activations)};
    product.result = {static_cast<std::byte*>(result.mutable_data()), dtype_of(result_dtype),
                      strides_of(result)};
    product.bias = bias ? bias->data() : nullptr;
    product.activation = from_name<Activation>(kActivations, "activation", activation);
    run(threads, [&](const Execution& execution) { return multiply(product, execution); });
}

const std::byte* at(std::uintptr_t address) {
    return reinterpret_cast<const std::byte*>(address);
}

// A layout of two axes at least: what has one axis is a matrix of one row.
Strides as_strides(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& steps,
                   std::int64_t item) {
    if (shape.size() != steps.size() || shape.empty() || shape.size() > kMaxRank)
        throw py::value_error("shape and strides do not fit together");
    const std::size_t added = shape.size() == 1 ? 1 : 0;
    Strides strides;
    strides.rank = static_cast<int>(shape.size() + added);
    strides.shape[0] = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        strides.shape[axis + added] = shape[axis];
        strides.bytes[axis + added] = steps[axis] * item;
    }
    return strides;
}

// An array of that shape in C order but for its last axis, which has so many entries.
Strides contiguous_strides(Strides strides, std::int64_t last, std::int64_t item) {
    strides.shape[strides.rank - 1] = last;
    for (int axis = strides.rank - 1; axis >= 0; --axis) {
        strides.bytes[axis] = item;
        item *= strides.shape[axis];
    }
    return strides;
}

// The same product in memory of other libraries, for which making arrays of NumPy would cost more
// than a small product does. Strides count elements; the result is contiguous, the bias float32 (0:
// none). Returns false, and writes nothing, if no matrix of that shape and dtype is packed there.
bool multiply_memory(std::uintptr_t packed, std::size_t packed_bytes, const std::string& dtype,
                     std::uintptr_t activations, const std::vector<std::int64_t>& shape,
                     const std::vector<std::int64_t>& strides, std::uintptr_t result,
                     std::int64_t rows, std::uintptr_t bias, int threads) {
    const auto held = packed_shape(at(packed), packed_bytes);
    const std::int64_t item = dtype_of(dtype) == Dtype::float32 ? 4 : 2;
    const Strides layout = as_strides(shape, strides, item);
    if (!held || held->rows != rows || held->columns != layout.columns() ||
        held->dtype != dtype_of(dtype))
        return false;
    Product product;
    product.packed = at(packed);
    product.activations = {at(activations), held->dtype, layout};
    product.result = {const_cast<std::byte*>(at(result)), held->dtype,
                      contiguous_strides(layout, rows, item)};
    product.bias = reinterpret_cast<const float*>(bias);
    run(threads, [&](const Execution& execution) { return multiply(product, execution); });
    return true;
}

}  // namespace
}  // namespace tnm::python

void register_products(pybind11::module_& module) {
    using namespace tnm::python;
    module.def("packed_bytes", &bytes_of, "rows"_a, "columns"_a, "kept"_a, "dtype"_a);
    module.def("pack_matrix", &pack_matrix, "weights"_a, "dtype"_a, "mask"_a, "kept"_a,
               "packed"_a.noconvert(), "threads"_a);
    module.def("update_matrix", &update_matrix, "weights"_a, "packed"_a.noconvert(), "threads"_a);
    module.def("unpack_matrix", &unpack_matrix, "packed"_a.noconvert(), "weights"_a, "mask"_a,
               "threads"_a);
    module.def("rows_of_matrix", &rows_of_matrix, "packed"_a.noconvert(), "values"_a,
               "bits"_a.noconvert(), "threads"_a);
    module.def("pack_matrix_rows", &pack_matrix_rows, "values"_a, "dtype"_a, "bits"_a.noconvert(),
               "rows"_a, "columns"_a, "packed"_a.noconvert(), "threads"_a);
    module.def("packed_shape", &shape_of_packed, "packed"_a.noconvert());
    module.def("is_consistent", &is_consistent_matrix, "packed"_a.noconvert());
    module.def("multiply_matrix", &multiply_matrix, "packed"_a.noconvert(), "activations"_a,
               "dtype"_a, "result"_a, "result_dtype"_a, "bias"_a.noconvert(), "activation"_a,
               "threads"_a);
    module.def("multiply_memory", &multiply_memory, "packed"_a, "packed_bytes"_a, "dtype"_a,
               "activations"_a, "shape"_a, "strides"_a, "result"_a, "rows"_a, "bias"_a,
               "threads"_a);
}
