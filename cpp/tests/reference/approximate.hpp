// The approximate methods and the row-wise mask as their definitions have them.
#pragma once

#include "reference/tile.hpp"

namespace tnm::test {

// Hubara et al. 2021, as published: from the lightest entry upwards (equal scores: the highest
// position first), prune while the row or the column still has too few pruned entries. On edge
// tiles, entries without positive score are dropped as well.
Flags two_approximation_as_published(const Tile& tile);

// The same mask in closed form: among the top n of its row and of its column.
Flags row_top_and_column_top(const Tile& tile);

// From the heaviest entry downwards (equal scores: the lowest position first), keep while row and
// column have room. On edge tiles only entries of positive score.
Flags greedy_without_completion(const Tile& tile);

// The n highest of each row (equal scores: the lowest column); a tile narrower than m keeps only
// entries of positive score.
Flags row_top(const Tile& tile);

}  // namespace tnm::test
