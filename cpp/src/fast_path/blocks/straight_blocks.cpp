#include "fast_path/blocks/straight_blocks.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "fast_path/blocks/block_pipeline.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

constexpr std::int64_t kTilesPerStrip = kStripColumns / 4;

Strides swap_axes(Strides strides) {
    std::swap(strides.shape[strides.rank - 2], strides.shape[strides.rank - 1]);
    std::swap(strides.bytes[strides.rank - 2], strides.bytes[strides.rank - 1]);
    return strides;
}

// Array and mask, with rows of the mask contiguous.
struct StraightView {
    explicit StraightView(const SolveRequest& request)
        : array(request.array), mask(request.mask), turned(mask.strides.column_stride() != 1) {
        if (turned) {
            array.strides = swap_axes(array.strides);
            mask.strides = swap_axes(mask.strides);
        }
        if (mask.strides.column_stride() != 1 || request.observer != nullptr) return;
        const StripKernels& kernels = strip_kernels();
        const std::int64_t item = item_bytes(array.dtype);
        if (array.strides.row_stride() == item)
            column_major = kernels.four_by_four_column_major(request.pattern, array.dtype,
                                                             request.score, turned);
        else if (array.strides.column_stride() == item && array.strides.columns() >= kStripColumns)
            run = kernels.four_by_four_run(request.pattern, array.dtype, request.score, turned);
    }

    ArrayView array;
    MaskView mask;
    bool turned;
    // One of them, if there is a shortcut.
    MaskColumnMajor column_major = nullptr;
    MaskRun run = nullptr;
};

// Takes blocks of the view. Owns the scratch memory of one thread.
class StraightBlocks {
  public:
    StraightBlocks(const SolveRequest& request, const StraightView& view)
        : view_(view), blocks_(request) {}

  protected:
    const Strides& elements() const { return view_.array.strides; }
    const std::byte* elements_at(std::int64_t plane, std::int64_t row, std::int64_t column) const {
        return view_.array.data + elements().offset(plane, 4 * row, 4 * column);
    }
    const Strides& flags() const { return view_.mask.strides; }
    std::uint8_t* flags_at(std::int64_t plane, std::int64_t row, std::int64_t column) const {
        return view_.mask.data + flags().offset(plane, 4 * row, 4 * column);
    }
    // Where rounding might have decided, and edge tiles.
    Status solve_by_copies(TileBlock block) {
        if (block.tile_rows == 0 || block.tile_columns == 0) return Status::ok;
        if (view_.turned) {
            std::swap(block.tile_row, block.tile_column);
            std::swap(block.tile_rows, block.tile_columns);
        }
        return blocks_(block);
    }

    const StraightView& view_;

  private:
    BlockPipeline blocks_;
};

// Where columns are contiguous: 64 at a time, from top to bottom.
class ColumnMajorBlocks : StraightBlocks {
  public:
    static TileBlocks::Size block_size(const StraightView& view) {
        return {1, kTileRows, kTilesPerStrip, tile_columns_past_line(view.mask)};
    }

    ColumnMajorBlocks(const SolveRequest& request, const StraightView& view)
        : StraightBlocks(request, view) {
        const std::int64_t rows = std::min(4 * kTileRows, elements().rows());
        space_.resize(static_cast<std::size_t>(rows) * kStripColumns / sizeof(std::int32_t));
        marks_.resize(static_cast<std::size_t>(rows) / 4);
    }

    Status operator()(const TileBlock& block) {
        constexpr std::int64_t kStep = kRowsOfMaskColumnMajor / 4;
        const bool full_columns = block.tile_columns == kTilesPerStrip &&
                                  (block.tile_column + kTilesPerStrip) * 4 <= elements().columns();
        const std::int64_t full_rows =
            std::min(block.tile_rows, elements().rows() / 4 - block.tile_row);
        TileBlock direct = block, rest = block;
        direct.tile_rows = full_columns ? full_rows / kStep * kStep : 0;
        // Where ties are the rule, copies are quicker than going back to one row after another.
        if (direct.tile_rows > 0 && run_kernel(direct) > direct.tile_rows / 8) direct.tile_rows = 0;
        if (const Status status = solve_marked(direct); status != Status::ok) return status;
        rest.tile_row += direct.tile_rows;
        rest.tile_rows -= direct.tile_rows;
        return solve_by_copies(rest);
    }

  private:
    static constexpr std::int64_t kTileRows = 512;

    // How many columns of tiles would fill up the line that the first flags are in. Lines that two
    // blocks share would be read and written twice.
    static std::int64_t tile_columns_past_line(const MaskView& mask) {
        constexpr std::uintptr_t kCacheLine = 64;
        if (mask.strides.row_stride() % kCacheLine != 0 ||
            mask.strides.columns() < 4 * kStripColumns)
            return 0;
        const auto past_line = reinterpret_cast<std::uintptr_t>(mask.data) % kCacheLine;
        return static_cast<std::int64_t>(past_line + 3) / 4 % kTilesPerStrip;
    }

    // Returns in how many rows of tiles rounding might have decided, and marks them.
    std::int64_t run_kernel(const TileBlock& block) {
        const ColumnBlock columns{elements_at(block.plane, block.tile_row, block.tile_column),
                                  elements().column_stride(), static_cast<int>(block.tile_rows * 4),
                                  kStripColumns};
        std::fill(marks_.begin(), marks_.end(), std::uint8_t{0});
        view_.column_major(columns, flags_at(block.plane, block.tile_row, block.tile_column),
                           flags().row_stride(), space_.data(), marks_.data());
        return std::accumulate(marks_.begin(), marks_.begin() + block.tile_rows, std::int64_t{0});
    }

    Status solve_marked(const TileBlock& block) {
        for (std::int64_t i = 0; i < block.tile_rows; ++i) {
            if (marks_[static_cast<std::size_t>(i)] == 0) continue;
            TileBlock row = block;
            row.tile_row += i;
            row.tile_rows = 1;
            const Status status = solve_by_copies(row);
            if (status != Status::ok) return status;
        }
        return Status::ok;
    }

    std::vector<std::int32_t> space_;
    std::vector<std::uint8_t> marks_;
};

// Where rows are contiguous: row of tiles by row of tiles.
class RowMajorBlocks : StraightBlocks {
  public:
    static TileBlocks::Size block_size(const StraightView&) { return {1, 1, kTileColumns}; }

    using StraightBlocks::StraightBlocks;

    Status operator()(const TileBlock& block) {
        const bool full_rows = (block.tile_row + 1) * 4 <= elements().rows();
        const std::int64_t end = block.tile_column + block.tile_columns;
        const std::int64_t full_end = full_rows ? std::min(end, elements().columns() / 4) : 0;
        TileBlock strip = block;
        strip.tile_columns = kTilesPerStrip;
        std::int64_t& column = strip.tile_column;
        while (column < full_end && full_end - block.tile_column >= kTilesPerStrip) {
            // A last strip that is not full begins within the one before.
            column = std::min(column, full_end - kTilesPerStrip);
            const auto strips = static_cast<int>((full_end - column) / kTilesPerStrip);
            const int done = run_kernel(strip, strips);
            column += done * kTilesPerStrip;
            if (done == strips) continue;
            if (const Status status = solve_by_copies(strip); status != Status::ok) return status;
            column += kTilesPerStrip;
        }
        strip.tile_columns = end - column;
        return solve_by_copies(strip);
    }

  private:
    static constexpr std::int64_t kTileColumns = 1024;

    // Returns how many strips are done.
    int run_kernel(const TileBlock& block, int strips) const {
        return view_.run(
            elements_at(block.plane, block.tile_row, block.tile_column), elements().row_stride(),
            strips, flags_at(block.plane, block.tile_row, block.tile_column), flags().row_stride());
    }
};

template <class Blocks>
Status take_blocks(const SolveRequest& request, const StraightView& view,
                   const Execution& execution) {
    const TileGrid grid{view.array.strides.rows(), view.array.strides.columns(), 4};
    const TileBlocks blocks(request.array.strides, grid.tile_rows(), grid.tile_columns(),
                            Blocks::block_size(view));
    return parallel_for(blocks.count(), execution, [&]() -> Worker {
        return [&, pipeline = std::make_shared<Blocks>(request, view)](std::int64_t piece) {
            return (*pipeline)(blocks[piece]);
        };
    });
}

}  // namespace

bool has_straight_blocks(const SolveRequest& request) {
    const StraightView view(request);
    return view.column_major != nullptr || view.run != nullptr;
}

Status solve_straight_blocks(const SolveRequest& request, const Execution& execution) {
    const StraightView view(request);
    if (view.run != nullptr) return take_blocks<RowMajorBlocks>(request, view, execution);
    return take_blocks<ColumnMajorBlocks>(request, view, execution);
}

}  // namespace tnm
