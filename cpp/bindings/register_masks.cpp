// Masks of arrays, and what no mask can be computed from.
#include <pybind11/stl.h>

#include <string>

#include "convert.hpp"
#include "names.hpp"
#include "register.hpp"
#include "tnm/finite.hpp"
#include "tnm/restoring.hpp"
#include "tnm/road.hpp"
#include "tnm/rowwise.hpp"
#include "tnm/transposable.hpp"

namespace tnm::python {
namespace {

using Doubles = py::array_t<double, py::array::c_style>;
using Integers = py::array_t<std::int32_t, py::array::c_style>;

// In the order of the enumerators.
constexpr const char* kRoads[] = {"tile by tile", "gathered", "copied", "in place"};
constexpr const char* kMethods[] = {"optimal", "two_approximation", "greedy"};

MaskView mask_view(py::array& mask) {
    return {static_cast<std::uint8_t*>(mask.mutable_data()), strides_of(mask)};
}

// `restore`: the mask keeps what it held if anything goes wrong.
template <class Find>
bool find_mask(const MaskView& mask, bool restore, int threads, const Find& find) {
    return run(threads, [&](const Execution& execution) {
        return restore ? restoring(mask, execution, [&] { return find(execution); })
                       : find(execution);
    });
}

bool rowwise_mask(const py::array& array, const std::string& dtype, py::array mask, bool restore,
                  int n, int m, const std::string& score, int threads) {
    const ArrayView scores = array_view(array, dtype);
    const MaskView target = mask_view(mask);
    const Score kind = score_of(score);
    return find_mask(target, restore, threads, [&](const Execution& execution) {
        return nm_mask(scores, target, {n, m}, kind, execution);
    });
}

bool solve(const py::array& array, const std::string& dtype, py::array& mask, bool restore,
           const TransposableOptions& options, const CertificateView* certificate, int threads) {
    const ArrayView scores = array_view(array, dtype);
    const MaskView target = mask_view(mask);
    return find_mask(target, restore, threads, [&](const Execution& execution) {
        return transposable_mask(scores, target, options, certificate, execution);
    });
}

bool mask_of(const py::array& array, const std::string& dtype, py::array mask, bool restore, int n,
             int m, const std::string& method, const std::string& score, bool complete,
             int threads) {
    const TransposableOptions options{
        {n, m}, from_name<Method>(kMethods, "method", method), score_of(score), complete};
    return solve(array, dtype, mask, restore, options, nullptr, threads);
}

bool certified_mask_of(const py::array& array, const std::string& dtype, py::array mask,
                       bool restore, int n, int m, const std::string& score, int threads,
                       Doubles row_prices, Doubles column_prices, Doubles primal, Doubles dual,
                       Doubles gap, Doubles offset, Integers exponent) {
    const TransposableOptions options{{n, m}, Method::optimal, score_of(score), true};
    const CertificateView certificate{row_prices.mutable_data(), column_prices.mutable_data(),
                                      primal.mutable_data(),     dual.mutable_data(),
                                      gap.mutable_data(),        offset.mutable_data(),
                                      exponent.mutable_data()};
    return solve(array, dtype, mask, restore, options, &certificate, threads);
}

std::tuple<std::string, bool, bool> road(const py::array& array, const std::string& dtype,
                                         py::array mask, int n, int m, const std::string& method,
                                         const std::string& score, bool certified) {
    const TransposableOptions options{
        {n, m}, from_name<Method>(kMethods, "method", method), score_of(score), true};
    const RoadReport report =
        road_of(array_view(array, dtype), mask_view(mask), options, certified);
    return {kRoads[static_cast<int>(report.road)], report.straight, report.in_float};
}

std::tuple<std::string, bool> rowwise_road(const py::array& array, const std::string& dtype,
                                           py::array mask, int n, int m) {
    const RowwiseRoadReport report =
        rowwise_road_of(array_view(array, dtype), mask_view(mask), {n, m});
    return {report.copied ? "groups copied" : "groups in place", report.straight};
}

std::optional<std::int64_t> first_non_finite(const py::array& array, const std::string& dtype,
                                             int threads) {
    const ArrayView scores = array_view(array, dtype);
    std::optional<std::int64_t> first;
    run(threads,
        [&](const Execution& execution) { return find_non_finite(scores, first, execution); });
    return first;
}

}  // namespace
}  // namespace tnm::python

void register_masks(pybind11::module_& module) {
    using namespace tnm::python;
    module.def("transposable_mask", &mask_of, "array"_a, "dtype"_a, "mask"_a, "restore"_a, "n"_a,
               "m"_a, "method"_a, "score"_a, "complete"_a, "threads"_a);
    module.def("certified_transposable_mask", &certified_mask_of, "array"_a, "dtype"_a, "mask"_a,
               "restore"_a, "n"_a, "m"_a, "score"_a, "threads"_a, "row_prices"_a.noconvert(),
               "column_prices"_a.noconvert(), "primal"_a.noconvert(), "dual"_a.noconvert(),
               "gap"_a.noconvert(), "offset"_a.noconvert(), "exponent"_a.noconvert());
    module.def("nm_mask", &rowwise_mask, "array"_a, "dtype"_a, "mask"_a, "restore"_a, "n"_a, "m"_a,
               "score"_a, "threads"_a);
    module.def("road_of", &road, "array"_a, "dtype"_a, "mask"_a, "n"_a, "m"_a, "method"_a,
               "score"_a, "certified"_a);
    module.def("rowwise_road_of", &rowwise_road, "array"_a, "dtype"_a, "mask"_a, "n"_a, "m"_a);
    module.def("find_non_finite", &first_non_finite, "array"_a, "dtype"_a, "threads"_a);
}
