// Keeping exceptions inside the core, and the process's floating-point mode outside: every public
// call runs through here.
#pragma once

#include <new>
#include <stdexcept>

#include "parallel/floating_point.hpp"
#include "tnm/status.hpp"

namespace tnm {

// parallel_for looks after its workers; this is for what is allocated around it.
template <class Call>
Status guarded(Call&& call) {
    const StandardFloatingPoint standard;
    try {
        return call();
    } catch (const std::bad_alloc&) {
        return Status::out_of_memory;
    } catch (const std::length_error&) {  // more than there are addresses
        return Status::out_of_memory;
    }
}

}  // namespace tnm
