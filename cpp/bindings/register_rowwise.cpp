#include "convert.hpp"
#include "register.hpp"
#include "tnm/rowwise.hpp"

namespace py = pybind11;
using namespace tnm::python;

namespace {

bool nm_mask(const py::array& array, const std::string& dtype, py::array mask, int n, int m,
             const std::string& score, int threads) {
    const tnm::ArrayView scores = array_view(array, dtype);
    const tnm::MaskView target = mask_view(mask);
    const tnm::Score kind = score_from_name(score);
    return run(threads, [&](const tnm::Execution& execution) {
        return tnm::nm_mask(scores, target, {n, m}, kind, execution);
    });
}

}  // namespace

void register_rowwise(py::module_& module) {
    module.def("nm_mask", &nm_mask, py::arg("array"), py::arg("dtype"), py::arg("mask"),
               py::arg("n"), py::arg("m"), py::arg("score"), py::arg("threads"));
}
