#include <pybind11/stl.h>

#include "convert.hpp"
#include "register.hpp"
#include "tnm/finite.hpp"
#include "tnm/transposable.hpp"

namespace py = pybind11;
using namespace tnm;
using namespace tnm::python;

namespace {

Method method_from_name(const std::string& name) {
    if (name == "optimal") return Method::optimal;
    if (name == "two_approximation") return Method::two_approximation;
    if (name == "greedy") return Method::greedy;
    throw py::value_error("unknown method " + name);
}

bool mask_of(const py::array& array, const std::string& dtype, py::array mask, int n, int m,
             const std::string& method, const std::string& score, bool complete, int threads) {
    const ArrayView scores = array_view(array, dtype);
    const MaskView target = mask_view(mask);
    const TransposableOptions options{
        {n, m}, method_from_name(method), score_from_name(score), complete};
    return run(threads, [&](const Execution& execution) {
        return transposable_mask(scores, target, options, nullptr, execution);
    });
}

using Doubles = py::array_t<double, py::array::c_style>;

bool certified_mask_of(const py::array& array, const std::string& dtype, py::array mask, int n,
                       int m, const std::string& score, int threads, Doubles row_prices,
                       Doubles column_prices, Doubles primal, Doubles dual, Doubles gap) {
    const ArrayView scores = array_view(array, dtype);
    const MaskView target = mask_view(mask);
    const TransposableOptions options{{n, m}, Method::optimal, score_from_name(score), true};
    const CertificateView certificate{row_prices.mutable_data(), column_prices.mutable_data(),
                                      primal.mutable_data(), dual.mutable_data(),
                                      gap.mutable_data()};
    return run(threads, [&](const Execution& execution) {
        return transposable_mask(scores, target, options, &certificate, execution);
    });
}

std::optional<std::int64_t> first_non_finite(const py::array& array, const std::string& dtype,
                                             const std::string& score, int threads) {
    const ArrayView scores = array_view(array, dtype);
    const Score kind = score_from_name(score);
    std::optional<std::int64_t> first;
    run(threads, [&](const Execution& execution) {
        return find_non_finite(scores, kind, first, execution);
    });
    return first;
}

}  // namespace

void register_transposable(py::module_& module) {
    module.def("transposable_mask", &mask_of, py::arg("array"), py::arg("dtype"), py::arg("mask"),
               py::arg("n"), py::arg("m"), py::arg("method"), py::arg("score"), py::arg("complete"),
               py::arg("threads"));
    module.def("certified_transposable_mask", &certified_mask_of, py::arg("array"),
               py::arg("dtype"), py::arg("mask"), py::arg("n"), py::arg("m"), py::arg("score"),
               py::arg("threads"), py::arg("row_prices").noconvert(),
               py::arg("column_prices").noconvert(), py::arg("primal").noconvert(),
               py::arg("dual").noconvert(), py::arg("gap").noconvert());
    module.def("find_non_finite", &first_non_finite, py::arg("array"), py::arg("dtype"),
               py::arg("score"), py::arg("threads"));
}
