// What calls that fill tables share: a limit on their memory, and numbers of any size.
#pragma once

#include <string>

#include "convert.hpp"
#include "tnm/counting/margin_count.hpp"

namespace tnm::python {

inline py::int_ python_int(const BigCount& count) {
    std::string bytes;
    for (const std::uint64_t limb : count)
        for (int shift = 0; shift < 64; shift += 8)
            bytes.push_back(static_cast<char>((limb >> shift) & 0xff));
    const py::object type = py::module_::import("builtins").attr("int");
    return type.attr("from_bytes")(py::bytes(bytes), "little");
}

// Runs call(memory, execution) without the GIL; a ValueError if the tables would take too much.
template <class Call>
void run_within(std::uint64_t memory_cap, int threads, Call&& call) {
    TableMemory memory{memory_cap, 0};
    bool too_large = false;
    run(threads, [&](const Execution& execution) {
        const Status status = call(memory, execution);
        too_large = status == Status::table_too_large;
        return too_large ? Status::ok : status;
    });
    if (!too_large) return;
    constexpr std::uint64_t kMegabyte = 1'000'000;
    throw py::value_error("memory_cap is " + std::to_string(memory.allowed) +
                          " bytes, expected at least " +
                          std::to_string(memory.needed / kMegabyte + 1) +
                          " MB, which the tables would take; raise memory_cap, or choose a "
                          "smaller problem");
}

}  // namespace tnm::python
