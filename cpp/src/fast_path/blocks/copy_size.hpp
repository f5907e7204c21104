// How many tiles are copied at once.
#pragma once

#include "tiles/solve_request.hpp"

namespace tnm {

// The most that is copied at once.
struct CopySize {
    explicit CopySize(const SolveRequest& request);

    std::int64_t planes, tile_rows, tile_columns;
};

}  // namespace tnm
