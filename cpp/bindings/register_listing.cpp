// All masks of a tile: by their number, one after another, at random.
#include <pybind11/stl.h>

#include "register.hpp"
#include "tables.hpp"
#include "tnm/counting/curveball.hpp"
#include "tnm/counting/enumerate.hpp"
#include "tnm/counting/mask_table.hpp"

namespace tnm::python {
namespace {

using Words = py::array_t<std::uint64_t, py::array::c_style>;
using Masks = py::array_t<bool, py::array::c_style>;

std::unique_ptr<MaskTable> make_table(int n, int m, std::uint64_t memory_cap, int threads) {
    std::unique_ptr<MaskTable> table;
    run_within(memory_cap, threads, [&](TableMemory& memory, const Execution& execution) {
        return MaskTable::create({n, m}, memory, table, execution);
    });
    return table;
}

std::uint8_t* bytes_of(Masks& masks) {
    return reinterpret_cast<std::uint8_t*>(masks.mutable_data());
}

// unrank or sample.
template <auto kMake>
void make_masks(const MaskTable& table, const Words& numbers, Masks masks, int threads) {
    const std::uint64_t* words = numbers.data();
    const auto count = numbers.shape(0);
    std::uint8_t* target = bytes_of(masks);
    run(threads, [&](const Execution& execution) {
        return (table.*kMake)(words, count, target, execution);
    });
}

void rank(const MaskTable& table, const Masks& masks, Words indices, int threads) {
    const auto* source = reinterpret_cast<const std::uint8_t*>(masks.data());
    std::uint64_t* words = indices.mutable_data();
    const auto count = indices.shape(0);
    run(threads,
        [&](const Execution& execution) { return table.rank(source, count, words, execution); });
}

void sample_by_curveball(int n, int m, std::int64_t trades, const Words& seeds, Masks masks,
                         int threads) {
    const std::uint64_t* words = seeds.data();
    const auto count = seeds.shape(0);
    std::uint8_t* target = bytes_of(masks);
    run(threads, [&](const Execution& execution) {
        return curveball_masks({n, m}, trades, words, count, target, execution);
    });
}

// An enumerator, at which threads take turns.
struct Enumeration {
    std::unique_ptr<MaskEnumerator> enumerator;
    std::mutex turn;
};

std::unique_ptr<Enumeration> make_enumeration(int n, int m) {
    auto enumeration = std::make_unique<Enumeration>();
    run(1,
        [&](const Execution&) { return MaskEnumerator::create({n, m}, enumeration->enumerator); });
    return enumeration;
}

void seek(Enumeration& enumeration, std::uint64_t code) {
    run(1, [&](const Execution&) {
        const std::lock_guard lock(enumeration.turn);
        return enumeration.enumerator->seek(code);
    });
}

std::int64_t next(Enumeration& enumeration, Words codes) {
    std::uint64_t* target = codes.mutable_data();
    const std::int64_t capacity = codes.size();
    return run_alone(enumeration.turn,
                     [&] { return enumeration.enumerator->next(target, capacity); });
}

}  // namespace
}  // namespace tnm::python

void register_listing(pybind11::module_& module) {
    using namespace tnm::python;
    using tnm::MaskTable;
    py::class_<MaskTable>(module, "MaskTable")
        .def(py::init(&make_table), "n"_a, "m"_a, "memory_cap"_a, "threads"_a)
        .def_property_readonly("total",
                               [](const MaskTable& table) { return python_int(table.total()); })
        .def_property_readonly("words", [](const MaskTable& table) { return table.total().size(); })
        .def_property_readonly("bytes", &MaskTable::bytes)
        .def("unrank", &make_masks<&MaskTable::unrank>, "indices"_a.noconvert(),
             "masks"_a.noconvert(), "threads"_a)
        .def("sample", &make_masks<&MaskTable::sample>, "draws"_a.noconvert(),
             "masks"_a.noconvert(), "threads"_a)
        .def("rank", &rank, "masks"_a.noconvert(), "indices"_a.noconvert(), "threads"_a);
    module.def("curveball_masks", &sample_by_curveball, "n"_a, "m"_a, "trades"_a,
               "seeds"_a.noconvert(), "masks"_a.noconvert(), "threads"_a);
    py::class_<Enumeration>(module, "MaskEnumerator")
        .def(py::init(&make_enumeration), "n"_a, "m"_a)
        .def("seek", &seek, "code"_a)
        .def("next", &next, "codes"_a.noconvert());
}
