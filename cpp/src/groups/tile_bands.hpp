// Walking over tiles in bands: neighbouring tiles of a row of tiles, or whole rows of tiles where
// these are short.
#pragma once

#include <algorithm>
#include <cstdint>

#include "parallel/parallel_for.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// All of its tiles are of the same height; only the last of each row of tiles may be narrow.
struct TileBand {
    std::int64_t plane, tile_row, tile_rows, tile_column, tile_columns;
};

class TileBands {
  public:
    TileBands(const TileGrid& grid, std::int64_t planes)
        : grid_(grid),
          planes_(planes),
          row_entries_(std::max<std::int64_t>(1, grid.columns * grid.m)),
          high_(std::max<std::int64_t>(1, kEntries / row_entries_)),
          wide_(std::max<std::int64_t>(1, kEntries / (grid.m * grid.m))),
          full_(grid.rows / grid.m),
          down_((full_ + high_ - 1) / high_ + (grid.rows % grid.m != 0)),
          across_(high_ > 1 ? std::min<std::int64_t>(1, grid.columns)
                            : (grid.tile_columns() + wide_ - 1) / wide_) {}

    // Calls visit(band) for all of them, from several threads; as parallel_for does.
    template <class MakeVisitor>
    Status for_each(const Execution& execution, const MakeVisitor& make_visitor) const {
        const std::int64_t count = planes_ * down_ * across_;
        const std::int64_t entries = row_entries_ * std::min(high_, std::max(full_, kOne));
        const std::int64_t length = std::max<std::int64_t>(1, kEntries / entries);
        return parallel_for((count + length - 1) / length, execution, [&]() -> Worker {
            return [=, this, visit = make_visitor()](std::int64_t piece) mutable {
                const std::int64_t end = std::min(count, (piece + 1) * length);
                for (std::int64_t index = piece * length; index < end; ++index) visit(band(index));
                return Status::ok;
            };
        });
    }

  private:
    // Enough work to make handing it out cheap, little enough to stay in the first-level cache.
    static constexpr std::int64_t kEntries = 16384, kOne = 1;

    TileBand band(std::int64_t index) const {
        const std::int64_t line = index / across_ % down_, plane = index / across_ / down_;
        const std::int64_t row = std::min(line * high_, full_);
        const std::int64_t column = high_ > 1 ? 0 : index % across_ * wide_;
        const std::int64_t columns = grid_.tile_columns() - column;
        return {plane, row, std::clamp(full_ - row, kOne, high_), column,
                high_ > 1 ? columns : std::min(wide_, columns)};
    }

    const TileGrid grid_;
    const std::int64_t planes_, row_entries_, high_, wide_, full_, down_, across_;
};

}  // namespace tnm
