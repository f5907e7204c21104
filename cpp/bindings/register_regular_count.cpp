#include <pybind11/stl.h>

#include <utility>

#include "convert.hpp"
#include "register.hpp"
#include "tnm/regular_count.hpp"

namespace py = pybind11;
using namespace tnm;
using namespace tnm::python;

namespace {

std::unique_ptr<RegularCounter> prepare(int rows, int columns, int row_sum, int column_sum) {
    auto counter = std::make_unique<RegularCounter>();
    run(1,
        [&](const Execution&) { return counter->prepare({rows, columns, row_sum, column_sum}); });
    return counter;
}

void start_pass(RegularCounter& counter, int pass) {
    run(1, [&](const Execution&) { return counter.start_pass(pass); });
}

GroupSums add_slices(const RegularCounter& counter, std::int64_t begin, std::int64_t end,
                     GroupSums sums, int threads) {
    run(threads, [&](const Execution& execution) {
        return counter.add_slices(begin, end, sums, execution);
    });
    return sums;
}

std::vector<std::uint32_t> digits(const RegularCounter& counter,
                                  const std::vector<GroupSums>& sums) {
    std::vector<std::uint32_t> result;
    run(1, [&](const Execution&) { return counter.digits(sums, result); });
    return result;
}

}  // namespace

void register_regular_count(py::module_& module) {
    py::class_<RegularCounter>(module, "RegularCounter")
        .def(py::init(&prepare), py::arg("rows"), py::arg("columns"), py::arg("row_sum"),
             py::arg("column_sum"))
        .def_property_readonly("primes", [](const RegularCounter& c) { return c.plan().primes; })
        .def_property_readonly("needed_primes",
                               [](const RegularCounter& c) { return c.plan().needed_primes; })
        .def_property_readonly("classes", [](const RegularCounter& c) { return c.plan().classes; })
        .def_property_readonly("evaluations",
                               [](const RegularCounter& c) { return c.plan().evaluations; })
        .def_property_readonly("operations",
                               [](const RegularCounter& c) { return c.plan().operations; })
        .def_property_readonly("table_bytes",
                               [](const RegularCounter& c) { return c.plan().table_bytes; })
        .def_property_readonly("slices", &RegularCounter::slices)
        .def("start_pass", &start_pass, py::arg("pass_index"))
        .def("share_before", &RegularCounter::share_before, py::arg("slice"))
        .def("add_slices", &add_slices, py::arg("begin"), py::arg("end"), py::arg("sums"),
             py::arg("threads"))
        .def("digits", &digits, py::arg("sums"));
}
