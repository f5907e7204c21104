// What masks retain of an array's scores.
#include <tuple>

#include "convert.hpp"
#include "names.hpp"
#include "register.hpp"
#include "tnm/retained.hpp"

namespace tnm::python {
namespace {

using Sums = std::tuple<double, double, double, std::int64_t>;

py::object retained(const py::array& array, const std::string& dtype, const py::array& mask,
                    const std::string& score, int threads) {
    const ArrayView scores = array_view(array, dtype);
    const ConstMaskView flags = const_mask_view(mask);
    const Score kind = score_of(score);
    RetainedScore found;
    const bool finite = run(threads, [&](const Execution& execution) {
        return retained_score(scores, flags, kind, found, execution);
    });
    if (!finite) return py::none();
    return py::cast(Sums{found.kept, found.total, found.largest, found.kept_entries});
}

}  // namespace
}  // namespace tnm::python

void register_retained(pybind11::module_& module) {
    using namespace tnm::python;
    module.def("retained_score", &retained, "array"_a, "dtype"_a, "mask"_a, "score"_a, "threads"_a);
}
