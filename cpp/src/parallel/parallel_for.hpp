// Running independent pieces of work on several threads.
#pragma once

#include <cstdint>
#include <functional>

#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Does one piece of work. Anything but Status::ok stops the whole call.
using Worker = std::function<Status(std::int64_t piece)>;

// Calls workers, one a thread from `make_worker`, with every piece in [0, pieces). Pieces are
// handed out in ascending order, the calling thread takes part, and which thread gets which piece
// is not defined. Returns the first status other than ok that a worker gave, or interrupted, or
// out_of_memory.
Status parallel_for(std::int64_t pieces, const Execution& execution,
                    const std::function<Worker()>& make_worker);

}  // namespace tnm
