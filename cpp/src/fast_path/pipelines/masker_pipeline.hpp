// What the pipelines of all methods share: everything but the mask of a loaded strip.
#pragma once

#include <bit>
#include <optional>

#include "fast_path/pipelines/strip_loader.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/pipelines/strip_writer.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {

// A Masker of scores T is called with the place of a strip, its scores, and a function that returns
// the Prefetcher of what comes after; returns the rows of the mask, as in StripSolution.
template <class T, class Masker>
class MaskerPipeline final : public StripPipeline {
  public:
    explicit MaskerPipeline(const SolveRequest& request)
        : request_(request),
          grid_(request.grid()),
          tiles_per_strip_(kStripColumns / field_width(grid_.m)),
          loader_(request),
          masker_(request),
          writer_(grid_.m) {}

    Status operator()(const TileRun& run, const ElementsInMemory& elements,
                      const FlagsInMemory& flags, const RowsInMemory* next_rows) override {
        const std::int64_t first = run.first_tile_column, full_end = end_of_full_tiles(grid_, run);
        for (std::int64_t column = first; column < full_end; column += tiles_per_strip_) {
            const std::int64_t tiles = std::min(tiles_per_strip_, full_end - column);
            const StripPlace place{run.plane,
                                   run.tile_row,
                                   column,
                                   static_cast<int>(tiles),
                                   elements.from_column((column - first) * grid_.m),
                                   flags.from_column((column - first) * grid_.m)};
            if (!loader_.load(place)) return Status::non_finite_score;
            std::uint64_t* kept = masker_(place, loader_.scores(),
                                          [&] { return prefetcher_after(place, next_rows); });
            writer_.write(place, kept);
            if (const Status status = solve_anew(place, loader_.left_out()); status != Status::ok)
                return status;
        }
        const std::int64_t edge_tiles = first + run.tile_columns - full_end;
        if (edge_tiles == 0) return Status::ok;
        return general()({run.plane, run.tile_row, full_end, edge_tiles},
                         elements.from_column((full_end - first) * grid_.m),
                         flags.from_column((full_end - first) * grid_.m));
    }

  private:
    Status solve_anew(const StripPlace& place, std::uint64_t tiles) {
        for (; tiles != 0; tiles &= tiles - 1) {
            const int tile = std::countr_zero(tiles);
            const Status status =
                general()({place.plane, place.tile_row, place.tile_column + tile, 1},
                          place.elements.from_column(tile * grid_.m),
                          place.flags.from_column(tile * grid_.m));
            if (status != Status::ok) return status;
        }
        return Status::ok;
    }
    // Made when first needed: small calls have no time for it.
    TilePipeline& general() {
        if (!general_) general_.emplace(request_);
        return *general_;
    }
    // The next strip's elements unless the caller knows better, and this one's flags.
    Prefetcher prefetcher_after(const StripPlace& place, const RowsInMemory* next_rows) const {
        if (next_rows != nullptr) return {*next_rows, writer_.rows(place)};
        const auto& [data, row_stride, column_stride] = place.elements;
        const std::int64_t bytes = tiles_per_strip_ * grid_.m * column_stride;
        return {{data + bytes, row_stride, bytes, grid_.m}, writer_.rows(place)};
    }

    const SolveRequest& request_;
    const TileGrid grid_;
    const std::int64_t tiles_per_strip_;
    StripLoader<T> loader_;
    Masker masker_;
    const StripWriter writer_;
    std::optional<TilePipeline> general_;
};

// T is float where that holds every score exactly, else double.
template <template <class> class Masker>
std::unique_ptr<StripPipeline> make_masker_pipeline(const SolveRequest& request) {
    if (fits_float(request.array.dtype, request.score))
        return std::make_unique<MaskerPipeline<float, Masker<float>>>(request);
    return std::make_unique<MaskerPipeline<double, Masker<double>>>(request);
}

}  // namespace tnm
