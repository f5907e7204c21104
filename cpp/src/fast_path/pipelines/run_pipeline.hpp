// Masks of 4 x 4 tiles straight from memory to memory, whole strips at a time.
#pragma once

#include <utility>

#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/element.hpp"

namespace tnm {

// Null where there is no such shortcut.
inline MaskRun run_kernel(const SolveRequest& request) {
    if (request.observer != nullptr) return nullptr;
    return strip_kernels().four_by_four_run(request.pattern, request.array.dtype, request.score,
                                            false);
}

class RunPipeline final : public StripPipeline {
  public:
    // `strips`: for what the kernel leaves.
    RunPipeline(const SolveRequest& request, MaskRun kernel, std::unique_ptr<StripPipeline> strips)
        : grid_(request.grid()), kernel_(kernel), strips_(std::move(strips)) {}

    Status operator()(const TileRun& run, const ElementsInMemory& elements,
                      const FlagsInMemory& flags, const RowsInMemory* next_rows) override {
        constexpr std::int64_t kTilesPerStrip = kStripColumns / 4;
        const std::int64_t first = run.first_tile_column, full_end = end_of_full_tiles(grid_, run);
        std::int64_t column = first;
        const auto elements_left = [&] { return elements.from_column((column - first) * 4); };
        const auto flags_left = [&] { return flags.from_column((column - first) * 4); };
        const auto solve_without_kernel = [&](std::int64_t tiles) {
            return (*strips_)({run.plane, run.tile_row, column, tiles}, elements_left(),
                              flags_left(), next_rows);
        };
        while (column < full_end && full_end - first >= kTilesPerStrip) {
            // A last strip that is not full begins within the one before.
            column = std::min(column, full_end - kTilesPerStrip);
            const auto strips = static_cast<int>((full_end - column) / kTilesPerStrip);
            column += kTilesPerStrip * kernel_(elements_left().data, elements.row_stride, strips,
                                               flags_left().data, flags.row_stride);
            if (full_end - column < kTilesPerStrip) continue;
            const Status status = solve_without_kernel(kTilesPerStrip);
            if (status != Status::ok) return status;
            column += kTilesPerStrip;
        }
        const std::int64_t left = first + run.tile_columns - column;
        return left == 0 ? Status::ok : solve_without_kernel(left);
    }

  private:
    const TileGrid grid_;
    const MaskRun kernel_;
    const std::unique_ptr<StripPipeline> strips_;
};

}  // namespace tnm
