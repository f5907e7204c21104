// The one road from an array to a mask: walk the tiles, load, solve, prove, store.
#pragma once

#include <functional>
#include <memory>

#include "tiles/tile.hpp"
#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Told of every solved tile; `index` counts tiles in C order over (plane, tile row, tile column).
// Called from several threads at once, never twice for the same index.
using TileObserver = std::function<void(std::int64_t index, const ScoreTile& scores,
                                        const TileMask& mask, const TilePrices& prices)>;

// Whether array, mask and pattern go together.
bool fits(const ArrayView& array, const MaskView& mask, const Pattern& pattern);

// `make_solver` is called once a thread. `observer` may be empty.
Status solve_tiles(const ArrayView& array, const MaskView& mask, const Pattern& pattern,
                   Score score, const std::function<std::unique_ptr<TileSolver>()>& make_solver,
                   const TileObserver& observer, const Execution& execution);

}  // namespace tnm
