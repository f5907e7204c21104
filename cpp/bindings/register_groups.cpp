// What masks keep in groups of m, and the compressed form.
#include <pybind11/stl.h>

#include "convert.hpp"
#include "register.hpp"
#include "tnm/compress.hpp"
#include "tnm/count.hpp"

namespace tnm::python {
namespace {

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Counts = py::array_t<std::uint8_t, 0>;

CountsView counts_view(Counts& counts) {
    return {counts.mutable_data(), strides_of(counts)};
}

std::pair<std::int64_t, std::optional<std::int64_t>> count(const py::array& mask, int n, int m,
                                                           bool transposable, bool exact,
                                                           Counts row_counts, Counts column_counts,
                                                           int threads) {
    const ConstMaskView flags = const_mask_view(mask);
    const CountsView rows = counts_view(row_counts), columns = counts_view(column_counts);
    CountedMask counted;
    run(threads, [&](const Execution& execution) {
        return count_kept(flags, {{n, m}, exact, transposable}, rows, columns, counted, execution);
    });
    return {counted.kept, counted.first_bad_tile};
}

std::optional<std::int64_t> pack(const py::array& array, const py::array& mask, int n, int m,
                                 py::array values, Bytes indices, int threads) {
    const ElementsView elements{static_cast<const std::byte*>(array.data()),
                                static_cast<std::size_t>(array.itemsize()), strides_of(array)};
    const ConstMaskView flags = const_mask_view(mask);
    auto* value_bytes = static_cast<std::byte*>(values.mutable_data());
    std::uint8_t* positions = indices.mutable_data();
    std::optional<std::int64_t> overfull;
    run(threads, [&](const Execution& execution) {
        return compress(elements, flags, {n, m}, value_bytes, positions, overfull, execution);
    });
    return overfull;
}

bool unpack(const py::array& values, const Bytes& indices, int n, int m, py::array array,
            int threads) {
    const MutableElementsView elements{static_cast<std::byte*>(array.mutable_data()),
                                       static_cast<std::size_t>(array.itemsize()),
                                       strides_of(array)};
    const auto* value_bytes = static_cast<const std::byte*>(values.data());
    const std::uint8_t* positions = indices.data();
    bool valid_indices = false;
    run(threads, [&](const Execution& execution) {
        return decompress(value_bytes, positions, {n, m}, elements, valid_indices, execution);
    });
    return valid_indices;
}

}  // namespace
}  // namespace tnm::python

void register_groups(pybind11::module_& module) {
    using namespace tnm::python;
    module.def("count_kept", &count, "mask"_a, "n"_a, "m"_a, "transposable"_a, "exact"_a,
               "row_counts"_a.noconvert(), "column_counts"_a.noconvert(), "threads"_a);
    module.def("compress", &pack, "array"_a, "mask"_a, "n"_a, "m"_a, "values"_a,
               "indices"_a.noconvert(), "threads"_a);
    module.def("decompress", &unpack, "values"_a, "indices"_a.noconvert(), "n"_a, "m"_a, "array"_a,
               "threads"_a);
}
