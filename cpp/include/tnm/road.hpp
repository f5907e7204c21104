// Which road a call takes, for those who ask why one call is slower than another.
#pragma once

#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"
#include "tnm/transposable.hpp"

namespace tnm {

enum class Road {
    tile_by_tile,  // the solver of the method, one tile after another
    gathered,      // tiles of narrow matrices are copied side by side
    copied,        // blocks are copied so that the elements of a row are neighbours
    in_place,      // strips are read where they lie
};

struct RoadReport {
    Road road = Road::tile_by_tile;
    // 4 x 4 tiles from memory to memory, without a strip in between.
    bool straight = false;
    // Scores are kept as float32, else as float64.
    bool in_float = false;
};

struct RowwiseRoadReport {
    // Elements or flags are copied, so that neighbours lie side by side.
    bool copied = false;
    // Groups of four from memory to memory, without a stop in between.
    bool straight = false;
};

// That of transposable_mask() with the same arguments; `certified`: with a certificate. Nothing is
// read or written.
RoadReport road_of(const ArrayView& scores, const MaskView& mask,
                   const TransposableOptions& options, bool certified);

// That of nm_mask() with the same arguments.
RowwiseRoadReport rowwise_road_of(const ArrayView& scores, const MaskView& mask,
                                  const Pattern& pattern);

}  // namespace tnm
