// Numbers of matrices: by dynamic programming, and by roots of unity.
#include <pybind11/stl.h>

#include "register.hpp"
#include "tables.hpp"
#include "tnm/counting/regular_count.hpp"

namespace tnm::python {
namespace {

py::int_ count_margins_dp(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                          std::uint64_t memory_cap, int threads) {
    BigCount count;
    run_within(memory_cap, threads, [&](TableMemory& memory, const Execution& execution) {
        return count_margins(row_sums, column_sums, memory, count, execution);
    });
    return python_int(count);
}

py::int_ count_at_most_dp(int rows, int columns, int n, std::uint64_t memory_cap, int threads) {
    BigCount count;
    run_within(memory_cap, threads, [&](TableMemory& memory, const Execution& execution) {
        return count_at_most(rows, columns, n, memory, count, execution);
    });
    return python_int(count);
}

// A counter and the pass that it is in: none before the first. Threads take turns at the pass; the
// counter does not change.
struct CountRun {
    std::unique_ptr<RegularCounter> counter;
    std::unique_ptr<RegularPass> pass;
    mutable std::mutex turn;
};

std::unique_ptr<CountRun> created(int rows, int columns, int row_sum, int column_sum) {
    auto count = std::make_unique<CountRun>();
    run(1, [&](const Execution&) {
        return RegularCounter::create({rows, columns, row_sum, column_sum}, count->counter);
    });
    return count;
}

void start_pass(CountRun& count, int index) {
    run(1, [&](const Execution&) {
        const std::lock_guard lock(count.turn);
        return RegularPass::create(*count.counter, index, count.pass);
    });
}

std::int64_t slices(const CountRun& count) {
    return run_alone(
        count.turn, [&] { return count.pass != nullptr ? count.pass->slices() : std::int64_t{0}; });
}

double share_before(const CountRun& count, std::int64_t slice) {
    return run_alone(count.turn,
                     [&] { return count.pass != nullptr ? count.pass->share_before(slice) : 0.0; });
}

GroupSums add_slices(const CountRun& count, std::int64_t begin, std::int64_t end, GroupSums sums,
                     int threads) {
    run(threads, [&](const Execution& execution) {
        const std::lock_guard lock(count.turn);
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
}  // namespace tnm::python

void register_counting(pybind11::module_& module) {
    using namespace tnm::python;
    using Plan = tnm::RegularCountPlan;
    module.def("count_margins_dp", &count_margins_dp, "row_sums"_a, "column_sums"_a, "memory_cap"_a,
               "threads"_a = 1);
    module.def("count_at_most_dp", &count_at_most_dp, "rows"_a, "columns"_a, "n"_a, "memory_cap"_a,
               "threads"_a = 1);
    py::class_<CountRun>(module, "RegularCounter")
        .def(py::init(&created), "rows"_a, "columns"_a, "row_sum"_a, "column_sum"_a)
        .def_property_readonly("primes", planned(&Plan::primes))
        .def_property_readonly("needed_primes", planned(&Plan::needed_primes))
        .def_property_readonly("classes", planned(&Plan::classes))
        .def_property_readonly("evaluations", planned(&Plan::evaluations))
        .def_property_readonly("operations", planned(&Plan::operations))
        .def_property_readonly("table_bytes", planned(&Plan::table_bytes))
        .def_property_readonly("slices", &slices)
        .def("start_pass", &start_pass, "pass_index"_a)
        .def("share_before", &share_before, "slice"_a)
        .def("add_slices", &add_slices, "begin"_a, "end"_a, "sums"_a, "threads"_a)
        .def("digits", &digits, "sums"_a);
}
