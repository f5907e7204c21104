#include <pybind11/stl.h>

#include "big_count.hpp"
#include "convert.hpp"
#include "register.hpp"
#include "table_memory.hpp"
#include "tnm/curveball.hpp"
#include "tnm/mask_table.hpp"

namespace py = pybind11;
using namespace tnm::python;

namespace {

using Words = py::array_t<std::uint64_t, py::array::c_style>;
using Masks = py::array_t<bool, py::array::c_style>;

std::unique_ptr<tnm::MaskTable> created(int n, int m, std::uint64_t memory_cap, int threads) {
    std::unique_ptr<tnm::MaskTable> table;
    run_within(memory_cap, threads, [&](tnm::TableMemory& memory, const tnm::Execution& execution) {
        return tnm::MaskTable::create({n, m}, memory, table, execution);
    });
    return table;
}

std::uint8_t* bytes_of(Masks& masks) {
    return reinterpret_cast<std::uint8_t*>(masks.mutable_data());
}

void unrank(const tnm::MaskTable& table, const Words& indices, Masks masks, int threads) {
    const std::uint64_t* words = indices.data();
    const auto count = indices.shape(0);
    std::uint8_t* target = bytes_of(masks);
    run(threads, [&](const tnm::Execution& execution) {
        return table.unrank(words, count, target, execution);
    });
}

void sample(const tnm::MaskTable& table, const Words& draws, Masks masks, int threads) {
    const std::uint64_t* words = draws.data();
    const auto count = draws.shape(0);
    std::uint8_t* target = bytes_of(masks);
    run(threads, [&](const tnm::Execution& execution) {
        return table.sample(words, count, target, execution);
    });
}

void rank(const tnm::MaskTable& table, const Masks& masks, Words indices, int threads) {
    const auto* source = reinterpret_cast<const std::uint8_t*>(masks.data());
    std::uint64_t* words = indices.mutable_data();
    const auto count = indices.shape(0);
    run(threads, [&](const tnm::Execution& execution) {
        return table.rank(source, count, words, execution);
    });
}

void curveball_masks(int n, int m, std::int64_t trades, const Words& seeds, Masks masks,
                     int threads) {
    const std::uint64_t* words = seeds.data();
    const auto count = seeds.shape(0);
    std::uint8_t* target = bytes_of(masks);
    run(threads, [&](const tnm::Execution& execution) {
        return tnm::curveball_masks({n, m}, trades, words, count, target, execution);
    });
}

}  // namespace

void register_mask_table(py::module_& module) {
    py::class_<tnm::MaskTable>(module, "MaskTable")
        .def(py::init(&created), py::arg("n"), py::arg("m"), py::arg("memory_cap"),
             py::arg("threads"))
        .def_property_readonly(
            "total", [](const tnm::MaskTable& table) { return python_int(table.total()); })
        .def_property_readonly("words",
                               [](const tnm::MaskTable& table) { return table.total().size(); })
        .def_property_readonly("bytes", &tnm::MaskTable::bytes)
        .def("unrank", &unrank, py::arg("indices").noconvert(), py::arg("masks").noconvert(),
             py::arg("threads"))
        .def("sample", &sample, py::arg("draws").noconvert(), py::arg("masks").noconvert(),
             py::arg("threads"))
        .def("rank", &rank, py::arg("masks").noconvert(), py::arg("indices").noconvert(),
             py::arg("threads"));
    module.def("curveball_masks", &curveball_masks, py::arg("n"), py::arg("m"), py::arg("trades"),
               py::arg("seeds").noconvert(), py::arg("masks").noconvert(), py::arg("threads"));
}
