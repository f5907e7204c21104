#include "strip/panel_pipeline.hpp"

#include <algorithm>
#include <cstdlib>

#include "parallel/parallel_for.hpp"
#include "strip/panel.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

int tune(const char* name, int value) {
    const char* text = std::getenv(name);
    return text == nullptr ? value : std::atoi(text);
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

// Tiles that one thread takes from top to bottom, panel by panel.
struct TileBlock {
    std::int64_t plane = 0;
    std::int64_t tile_row = 0, tile_column = 0;
    std::int64_t tile_rows = 0, tile_columns = 0;
};

// How a matrix is cut: blocks into panels, panels into runs.
struct PanelCut {
    PanelCut(const TileGrid& grid, std::int64_t item_bytes) {
        // Of every column several cache lines in a row; of the panel what fits the second-level
        // cache beside the next one.
        const int kColumnBytes = tune("TNM_COLB", 256), kPanelEntries = tune("TNM_PE", 16384),
                  kPanelsPerBlock = tune("TNM_PPB", 8), kRunsPerPanel = tune("TNM_RPP", 8);
        const std::int64_t tiles_per_strip = kStripColumns / field_width(grid.m);
        const std::int64_t rows = std::max<std::int64_t>(1, kColumnBytes / (grid.m * item_bytes));
        const std::int64_t columns = std::max<std::int64_t>(1, kPanelEntries / (rows * grid.m * grid.m));
        tile_rows = std::min(rows, grid.tile_rows());
        tile_columns = std::min(divide_up(columns, tiles_per_strip) * tiles_per_strip, grid.tile_columns());
        block_rows = std::min(kPanelsPerBlock * tile_rows, grid.tile_rows());
        const std::int64_t runs = grid.m > 4 ? 100 : divide_up(kRunsPerPanel, tile_rows);
        run_columns = divide_up(divide_up(tile_columns, runs), tiles_per_strip) * tiles_per_strip;
    }

    std::int64_t tile_rows, tile_columns;  // of a panel
    std::int64_t block_rows;
    std::int64_t run_columns;
};

template <class T>
class PanelPipeline {
  public:
    PanelPipeline(StripMethod method, const ArrayView& array, const MaskView& mask,
                  const Pattern& pattern, Score score, const TileObserver& observer,
                  const PanelCut& cut)
        : layout_(array.layout),
          data_(array.data),
          item_bytes_(item_bytes(array.dtype)),
          grid_{layout_.rows(), layout_.columns(), pattern.m},
          cut_(cut),
          sweeps_(method == StripMethod::optimal && pattern.m > 4),
          strips_(method, array.dtype, item_bytes_, mask, pattern, score, observer),
          panel_(make_panel()),
          next_panel_(make_panel()) {}

    Status operator()(const TileBlock& block) {
        TileBlock panel = block, next = block;
        const std::int64_t end = block.tile_row + block.tile_rows;
        limit(panel, end);
        panel_.start(elements_of(panel));
        panel_.copy_rest();
        for (;;) {
            next.tile_row = panel.tile_row + panel.tile_rows;
            limit(next, end);
            next_panel_.start(elements_of(next));
            const Status status = solve(panel);
            if (status != Status::ok || next.tile_rows == 0) return status;
            next_panel_.copy_rest();
            std::swap(panel_, next_panel_);
            panel = next;
        }
    }

  private:
    Panel make_panel() const {
        return {static_cast<int>(item_bytes_), static_cast<int>(cut_.tile_rows * grid_.m),
                static_cast<int>(cut_.tile_columns * grid_.m)};
    }

    void limit(TileBlock& panel, std::int64_t end) const {
        panel.tile_rows = std::min(cut_.tile_rows, end - panel.tile_row);
    }

    ColumnBlock elements_of(const TileBlock& panel) const {
        const std::int64_t row = panel.tile_row * grid_.m, column = panel.tile_column * grid_.m;
        const std::int64_t rows = std::min(panel.tile_rows * grid_.m, grid_.rows - row);
        const std::int64_t columns = std::min(panel.tile_columns * grid_.m, grid_.columns - column);
        const std::byte* data = data_ + layout_.plane_offset(panel.plane) + row * item_bytes_ +
                                column * layout_.column_stride();
        return {data, layout_.column_stride(), static_cast<int>(rows), static_cast<int>(columns)};
    }

    // Masks for `panel_`, while `next_panel_` is being copied.
    Status solve(const TileBlock& panel) {
        const std::int64_t runs = panel.tile_rows * divide_up(panel.tile_columns, cut_.run_columns);
        const auto portion = static_cast<int>(divide_up(panel.tile_columns * grid_.m, runs));
        for (std::int64_t i = 0; i < panel.tile_rows; ++i)
            for (std::int64_t j = 0; j < panel.tile_columns; j += cut_.run_columns) {
                const TileRun run{panel.plane, panel.tile_row + i, panel.tile_column + j,
                                  std::min(cut_.run_columns, panel.tile_columns - j)};
                const std::byte* data =
                    panel_.row(static_cast<int>(i) * grid_.m) + j * grid_.m * item_bytes_;
                const RowsInMemory ahead = next_panel_.announce(portion);
                if (!sweeps_) Upcoming(ahead, {}).prefetch(ahead.rows);
                const Status status =
                    strips_(run, {data, panel_.row_stride(), item_bytes_}, &ahead);
                if (status != Status::ok) return status;
                next_panel_.copy_announced();
            }
        return Status::ok;
    }

    const Layout& layout_;
    const std::byte* data_;
    const std::int64_t item_bytes_;
    const TileGrid grid_;
    const PanelCut& cut_;
    const bool sweeps_;  // with time to ask for memory in between
    StripPipeline<T> strips_;
    Panel panel_, next_panel_;
};

using BlockWorker = std::function<Status(const TileBlock& block)>;

template <class T>
BlockWorker make_worker(StripMethod method, const ArrayView& array, const MaskView& mask,
                        const Pattern& pattern, Score score, const TileObserver& observer,
                        const PanelCut& cut) {
    auto pipeline = std::make_shared<PanelPipeline<T>>(method, array, mask, pattern, score,
                                                       observer, cut);
    return [pipeline](const TileBlock& block) { return (*pipeline)(block); };
}

}  // namespace

bool has_contiguous_columns(const ArrayView& array) {
    const std::int64_t item = item_bytes(array.dtype);
    return array.layout.row_stride() == item && array.layout.column_stride() != item;
}

Status solve_panels(StripMethod method, const ArrayView& array, const MaskView& mask,
                    const Pattern& pattern, Score score, const TileObserver& observer,
                    const Execution& execution) {
    const TileGrid grid{array.layout.rows(), array.layout.columns(), pattern.m};
    if (array.layout.planes() * grid.tiles() == 0) return Status::ok;
    const PanelCut cut(grid, item_bytes(array.dtype));
    const std::int64_t down = divide_up(grid.tile_rows(), cut.block_rows);
    const std::int64_t across = divide_up(grid.tile_columns(), cut.tile_columns);
    const auto make = fits_float(array.dtype, score) ? make_worker<float> : make_worker<double>;
    return parallel_for(array.layout.planes() * across * down, execution, [&]() -> Worker {
        return [&, worker = make(method, array, mask, pattern, score, observer, cut)](
                   std::int64_t piece) {
            TileBlock block;
            block.tile_row = piece % down * cut.block_rows;
            block.tile_column = piece / down % across * cut.tile_columns;
            block.plane = piece / down / across;
            block.tile_rows = std::min(cut.block_rows, grid.tile_rows() - block.tile_row);
            block.tile_columns =
                std::min(cut.tile_columns, grid.tile_columns() - block.tile_column);
            return worker(block);
        };
    });
}

}  // namespace tnm
