// Calls that fill tables, with a limit on their memory.
#pragma once

#include <cstdint>
#include <string>

#include "convert.hpp"
#include "tnm/margin_count.hpp"

namespace tnm::python {

[[noreturn]] inline void refuse_table(const TableMemory& memory) {
    constexpr std::uint64_t kMegabyte = 1'000'000;
    const std::string needed = std::to_string(memory.needed / kMegabyte + 1);
    throw pybind11::value_error("memory_cap is " + std::to_string(memory.allowed) +
                                " bytes, expected at least " + needed +
                                " MB, which the tables would take; raise memory_cap, or choose a "
                                "smaller problem");
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
    if (too_large) refuse_table(memory);
}

}  // namespace tnm::python
