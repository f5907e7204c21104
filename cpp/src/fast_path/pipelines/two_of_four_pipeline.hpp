// 2:4 masks straight from memory to memory, whole strips at a time.
#pragma once

#include <utility>

#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/element.hpp"

namespace tnm {

// Null where there is no such shortcut.
inline MaskRun two_of_four_kernel(const SolveRequest& request, std::int64_t column_stride) {
    const Dtype dtype = request.array.dtype;
    const bool side_by_side =
        column_stride == item_bytes(dtype) && request.mask.strides.column_stride() == 1;
    if (request.observer != nullptr || !side_by_side) return nullptr;
    return strip_kernels().four_by_four_run(request.pattern, dtype, request.score);
}

class TwoOfFourPipeline final : public StripPipeline {
  public:
    // `strips`: for what the kernel leaves.
    TwoOfFourPipeline(const SolveRequest& request, MaskRun kernel,
                      std::unique_ptr<StripPipeline> strips)
        : mask_(request.mask), grid_(request.grid()), kernel_(kernel), strips_(std::move(strips)) {}

    Status operator()(const TileRun& run, const ElementsInMemory& elements,
                      const RowsInMemory* next_rows) override {
        constexpr std::int64_t kTilesPerStrip = kStripColumns / 4;
        const std::int64_t first = run.first_tile_column, full_end = end_of_full_tiles(grid_, run);
        const Strides& strides = mask_.strides;
        std::int64_t column = first;
        const auto elements_left = [&] { return elements.from_column((column - first) * 4); };
        const auto solve_without_kernel = [&](std::int64_t tiles) {
            return (*strips_)({run.plane, run.tile_row, column, tiles}, elements_left(), next_rows);
        };
        while (full_end - column >= kTilesPerStrip) {
            const auto strips = static_cast<int>((full_end - column) / kTilesPerStrip);
            std::uint8_t* flags =
                mask_.data + strides.offset(run.plane, run.tile_row * 4, column * 4);
            column += kTilesPerStrip * kernel_(elements_left().data, elements.row_stride, strips,
                                               flags, strides.row_stride());
            if (full_end - column < kTilesPerStrip) break;
            const Status status = solve_without_kernel(kTilesPerStrip);
            if (status != Status::ok) return status;
            column += kTilesPerStrip;
        }
        const std::int64_t left = first + run.tile_columns - column;
        return left == 0 ? Status::ok : solve_without_kernel(left);
    }

  private:
    const MaskView& mask_;
    const TileGrid grid_;
    const MaskRun kernel_;
    const std::unique_ptr<StripPipeline> strips_;
};

}  // namespace tnm
