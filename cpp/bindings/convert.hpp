// From Python objects to the core's views, and from the core's outcomes to Python exceptions.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <string>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm::python {

Strides strides_of(const pybind11::array& array);

// `dtype` names the element type as tnm::Dtype does; bfloat16 comes as a uint16 view.
ArrayView array_view(const pybind11::array& array, const std::string& dtype);
MaskView mask_view(pybind11::array& mask);
ConstMaskView const_mask_view(const pybind11::array& mask);
Score score_from_name(const std::string& name);

// Lets Ctrl-C through while the GIL is released: asks Python about signals a few times a second.
class InterruptibleExecution {
  public:
    explicit InterruptibleExecution(int threads) { execution_ = {threads, &poll, this}; }
    const Execution& get() const { return execution_; }

  private:
    static bool poll(void* self);

    Execution execution_;
    std::chrono::steady_clock::time_point last_poll_ = std::chrono::steady_clock::now();
};

// Runs call(execution) without the GIL. Returns whether all scores were finite; every other failure
// becomes a Python exception.
template <class Call>
bool run(int threads, Call&& call) {
    InterruptibleExecution execution(threads);
    Status status = Status::ok;
    {
        const pybind11::gil_scoped_release release;
        status = call(execution.get());
    }
    switch (status) {
        case Status::ok:
            return true;
        case Status::non_finite_score:
            return false;
        case Status::interrupted:
            throw pybind11::error_already_set();
        case Status::out_of_memory:
            throw std::bad_alloc();
        case Status::invalid_argument:
        case Status::table_too_large:
            break;
    }
    throw pybind11::value_error("arguments that do not fit together reached the compiled core");
}

}  // namespace tnm::python
