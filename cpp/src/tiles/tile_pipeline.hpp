// Taking the tiles of a run, one after another, through load, solve, prove and store.
#pragma once

#include <memory>
#include <vector>

#include "tiles/load_scores.hpp"
#include "tiles/solve_request.hpp"
#include "tiles/store_mask.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {

// Owns the scratch memory of one thread.
class TilePipeline {
  public:
    explicit TilePipeline(const SolveRequest& request)
        : mask_(request.mask),
          pattern_(request.pattern),
          observer_(request.observer),
          grid_(request.grid()),
          load_(score_loader<double>(request.array.dtype, request.score)),
          solver_(request.make_solver()),
          scores_(static_cast<std::size_t>(pattern_.m) * pattern_.m) {}

    // `elements` are those of the run, wherever they lie.
    Status operator()(const TileRun& run, const ElementsInMemory& elements) {
        std::uint8_t* target = mask_.data + mask_.strides.plane_offset(run.plane);
        const std::int64_t end = run.first_tile_column + run.tile_columns;
        for (std::int64_t column = run.first_tile_column; column < end; ++column) {
            const ScoreTile tile = tile_at(run.tile_row, column);
            const std::int64_t first = (column - run.first_tile_column) * grid_.m;
            if (!load_(elements_of(tile, elements.from_column(first)), scores_.data(), grid_.m))
                return Status::non_finite_score;
            solver_->solve(tile, kept_, observer_ ? &prices_ : nullptr);
            if (observer_) observer_(index_of(run, column), tile, kept_, prices_);
            store_mask(kept_, flags_of(tile, target, run.tile_row, column));
        }
        return Status::ok;
    }

  private:
    ScoreTile tile_at(std::int64_t tile_row, std::int64_t tile_column) const {
        return {scores_.data(), grid_.m, grid_.height(tile_row), grid_.width(tile_column),
                pattern_};
    }
    static ElementBlock elements_of(const ScoreTile& tile, const ElementsInMemory& elements) {
        return {elements.data, elements.row_stride, elements.column_stride, tile.rows,
                tile.columns};
    }
    FlagBlock flags_of(const ScoreTile& tile, std::uint8_t* plane, std::int64_t tile_row,
                       std::int64_t tile_column) const {
        const std::int64_t row_stride = mask_.strides.row_stride();
        const std::int64_t column_stride = mask_.strides.column_stride();
        return {plane + tile_row * grid_.m * row_stride + tile_column * grid_.m * column_stride,
                row_stride, column_stride, tile.rows, tile.columns};
    }
    std::int64_t index_of(const TileRun& run, std::int64_t tile_column) const {
        return (run.plane * grid_.tile_rows() + run.tile_row) * grid_.tile_columns() + tile_column;
    }

    const MaskView& mask_;
    const Pattern pattern_;
    const TileObserver& observer_;
    const TileGrid grid_;
    const LoadScores<double> load_;
    std::unique_ptr<TileSolver> solver_;
    std::vector<double> scores_;
    TileMask kept_;
    TilePrices prices_;
};

}  // namespace tnm
