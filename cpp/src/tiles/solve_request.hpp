// What a call asks for: the one thing that all roads from an array to a mask are handed.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>

#include "simd/tiles_in_lanes.hpp"
#include "tiles/tile.hpp"
#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// Told of every solved tile; an index counts tiles in C order over (plane, tile row, tile column).
// Called from several threads at once; where a tile is solved anew, again from the same thread.
class TileObserver {
  public:
    virtual ~TileObserver() = default;
    virtual void observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                         const TilePrices& prices) = 0;
    // Bit t of the result is set if tile t is done with; the others are to be shown one by one.
    virtual std::uint64_t observe(const TilesInLanes<float>& tiles) = 0;
    virtual std::uint64_t observe(const TilesInLanes<double>& tiles) = 0;
};

enum class SolveMethod { exact, approximate };

struct SolveRequest {
    SolveMethod method = SolveMethod::exact;
    ArrayView array;
    MaskView mask;
    Pattern pattern;
    Score score = Score::abs;
    // Makes the solver of the method for tiles of any shape; called for every thread.
    std::function<std::unique_ptr<TileSolver>()> make_solver;
    // May be null.
    TileObserver* observer = nullptr;

    TileGrid grid() const { return {array.strides.rows(), array.strides.columns(), pattern.m}; }
    // Whether array, mask and pattern go together.
    bool consistent() const {
        const Strides &from = array.strides, &to = mask.strides;
        return pattern.valid() && from.rank >= 2 && from.rank == to.rank &&
               std::equal(from.shape.begin(), from.shape.begin() + from.rank, to.shape.begin());
    }
};

}  // namespace tnm
