#include <pybind11/stl.h>

#include <utility>

#include "convert.hpp"
#include "register.hpp"
#include "tnm/regular_count.hpp"

namespace py = pybind11;
using namespace tnm;
using namespace tnm::python;

namespace {

// A counter and the pass that it is in: none before the first.
struct CountRun {
    std::unique_ptr<RegularCounter> counter;
    std::unique_ptr<RegularPass> pass;
};

CountRun created(int rows, int columns, int row_sum, int column_sum) {
    CountRun count;
    run(1, [&](const Execution&) {
        return RegularCounter::create({rows, columns, row_sum, column_sum}, count.counter);
    });
    return count;
}

void start_pass(CountRun& count, int index) {
    run(1,
        [&](const Execution&) { return RegularPass::create(*count.counter, index, count.pass); });
}

std::int64_t slices(const CountRun& count) {
    return count.pass != nullptr ? count.pass->slices() : 0;
}

double share_before(const CountRun& count, std::int64_t slice) {
    return count.pass != nullptr ? count.pass->share_before(slice) : 0.0;
}

GroupSums add_slices(const CountRun& count, std::int64_t begin, std::int64_t end, GroupSums sums,
                     int threads) {
    run(threads, [&](const Execution& execution) {
        return count.pass != nullptr ? count.pass->add_slices(begin, end, sums, execution)
                                     : Status::invalid_argument;
    });
    return sums;
}

std::vector<std::uint32_t> digits(const CountRun& count, const std::vector<GroupSums>& sums) {
    std::vector<std::uint32_t> result;
    run(1, [&](const Execution&) { return count.counter->digits(sums, result); });
    return result;
}

// A property of the plan.
template <class Number>
auto planned(Number RegularCountPlan::* member) {
    return [member](const CountRun& count) { return count.counter->plan().*member; };
}

}  // namespace

void register_regular_count(py::module_& module) {
    py::class_<CountRun>(module, "RegularCounter")
        .def(py::init(&created), py::arg("rows"), py::arg("columns"), py::arg("row_sum"),
             py::arg("column_sum"))
        .def_property_readonly("primes", planned(&RegularCountPlan::primes))
        .def_property_readonly("needed_primes", planned(&RegularCountPlan::needed_primes))
        .def_property_readonly("classes", planned(&RegularCountPlan::classes))
        .def_property_readonly("evaluations", planned(&RegularCountPlan::evaluations))
        .def_property_readonly("operations", planned(&RegularCountPlan::operations))
        .def_property_readonly("table_bytes", planned(&RegularCountPlan::table_bytes))
        .def_property_readonly("slices", &slices)
        .def("start_pass", &start_pass, py::arg("pass_index"))
        .def("share_before", &share_before, py::arg("slice"))
        .def("add_slices", &add_slices, py::arg("begin"), py::arg("end"), py::arg("sums"),
             py::arg("threads"))
        .def("digits", &digits, py::arg("sums"));
}
