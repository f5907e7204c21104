#include "convert.hpp"
#include "register.hpp"
#include "tnm/count.hpp"

namespace py = pybind11;
using namespace tnm::python;

namespace {

using Counts = py::array_t<std::uint8_t, py::array::c_style>;

void count_kept(const py::array& mask, int m, Counts row_counts, Counts column_counts,
                int threads) {
    const tnm::ConstMaskView flags = const_mask_view(mask);
    std::uint8_t* rows = row_counts.mutable_data();
    std::uint8_t* columns = column_counts.mutable_data();
    run(threads, [&](const tnm::Execution& execution) {
        return tnm::count_kept(flags, m, rows, columns, execution);
    });
}

}  // namespace

void register_count(py::module_& module) {
    module.def("count_kept", &count_kept, py::arg("mask"), py::arg("m"),
               py::arg("row_counts").noconvert(), py::arg("column_counts").noconvert(),
               py::arg("threads"));
}
