// Taking the tiles of a run, one after another, through load, solve, prove and store.
#pragma once

#include <memory>

#include "tiles/element.hpp"
#include "tiles/load_tile.hpp"
#include "tiles/prefetcher.hpp"
#include "tiles/solve_request.hpp"
#include "tiles/store_mask.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {

// Owns the scratch memory of one thread.
class TilePipeline {
  public:
    explicit TilePipeline(const SolveRequest& request)
        : pattern_(request.pattern),
          item_bytes_(item_bytes(request.array.dtype)),
          observer_(request.observer),
          grid_(request.grid()),
          loader_(request.array.dtype, request.score, pattern_),
          solver_(request.make_solver()) {}

    // `elements` and `flags` are those of the run, wherever they lie.
    Status operator()(const TileRun& run, const ElementsInMemory& elements,
                      const FlagsInMemory& flags) {
        const int m = grid_.m, rows = grid_.height(run.tile_row);
        for (std::int64_t t = 0; t < run.tile_columns; ++t) {
            const std::int64_t column = run.first_tile_column + t;
            const int columns = grid_.width(column);
            if (!loader_.load({elements.from_column(t * m), rows, columns}))
                return Status::non_finite_score;
            if (t + 1 < run.tile_columns) prefetch(elements.from_column((t + 1) * m), rows);
            const ScoreTile& tile = loader_.tile();
            solver_->solve(tile, kept_, observer_ != nullptr ? &prices_ : nullptr);
            if (observer_ != nullptr)
                observer_->observe(tile_index(grid_, run.plane, run.tile_row, column), tile, kept_,
                                   prices_);
            store_mask(kept_, rows, columns, flags.from_column(t * m));
        }
        return Status::ok;
    }

  private:
    // Of the next tile; where columns are far apart, lines would be asked for again and again.
    void prefetch(const ElementsInMemory& elements, int rows) const {
        if (elements.column_stride != item_bytes_) return;
        Prefetcher({elements.data, elements.row_stride, grid_.m * item_bytes_, rows}, {})
            .prefetch(rows);
    }

    const Pattern pattern_;
    const std::int64_t item_bytes_;
    TileObserver* const observer_;
    const TileGrid grid_;
    TileLoader loader_;
    std::unique_ptr<TileSolver> solver_;
    TileMask kept_;
    TilePrices prices_;
};

}  // namespace tnm
