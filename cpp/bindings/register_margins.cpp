#include <pybind11/stl.h>

#include "big_count.hpp"
#include "convert.hpp"
#include "register.hpp"
#include "table_memory.hpp"
#include "tnm/margin_count.hpp"

namespace py = pybind11;
using namespace tnm::python;

namespace {

py::int_ count_margins_dp(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                          std::uint64_t memory_cap, int threads) {
    tnm::BigCount count;
    run_within(memory_cap, threads, [&](tnm::TableMemory& memory, const tnm::Execution& execution) {
        return tnm::count_margins(row_sums, column_sums, memory, count, execution);
    });
    return python_int(count);
}

py::int_ count_at_most_dp(int rows, int columns, int n, std::uint64_t memory_cap, int threads) {
    tnm::BigCount count;
    run_within(memory_cap, threads, [&](tnm::TableMemory& memory, const tnm::Execution& execution) {
        return tnm::count_at_most(rows, columns, n, memory, count, execution);
    });
    return python_int(count);
}

}  // namespace

void register_margins(py::module_& module) {
    module.def("count_margins_dp", &count_margins_dp, py::arg("row_sums"), py::arg("column_sums"),
               py::arg("memory_cap"), py::arg("threads") = 1);
    module.def("count_at_most_dp", &count_at_most_dp, py::arg("rows"), py::arg("columns"),
               py::arg("n"), py::arg("memory_cap"), py::arg("threads") = 1);
}
