// From Python objects to the core's views, and from the core's outcomes to Python exceptions.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <mutex>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm::python {

namespace py = pybind11;
using namespace py::literals;

Strides strides_of(const py::array& array);
ConstMaskView const_mask_view(const py::array& mask);

// Lets Ctrl-C through while the GIL is released: asks Python about signals a few times a second.
// `last_poll` points to the time when it did so last.
bool wants_interruption(void* last_poll);

// Runs call(execution) without the GIL. Returns whether all scores were finite; every other failure
// becomes a Python exception.
template <class Call>
bool run(int threads, Call&& call) {
    auto last_poll = std::chrono::steady_clock::now();
    Status status = Status::ok;
    {
        const py::gil_scoped_release release;
        status = call(Execution{threads, &wants_interruption, &last_poll});
    }
    switch (status) {
        case Status::ok:
            return true;
        case Status::non_finite_score:
            return false;
        case Status::interrupted:
            throw py::error_already_set();
        case Status::out_of_memory:
            throw std::bad_alloc();
        case Status::invalid_argument:
        case Status::table_too_large:
            break;
    }
    throw py::value_error("arguments that do not fit together reached the compiled core");
}

// Calls call() without the GIL, while no other thread is in such a call with the same mutex. Of the
// two the GIL is given away first, here and wherever a mutex is taken within `run`: who waited for
// the mutex with the GIL in hand would keep it from the thread inside, which asks about signals.
template <class Call>
auto run_alone(std::mutex& mutex, Call&& call) {
    const py::gil_scoped_release release;
    const std::lock_guard lock(mutex);
    return call();
}

}  // namespace tnm::python
