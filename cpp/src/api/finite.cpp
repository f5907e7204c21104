#include "tnm/finite.hpp"

#include "parallel/guarded.hpp"
#include "tiles/first_non_finite.hpp"

namespace tnm {

Status find_non_finite(const ArrayView& array, Score score, std::optional<std::int64_t>& first,
                       const Execution& execution) {
    return guarded([&] { return search_non_finite(array, score, first, execution); });
}

}  // namespace tnm
