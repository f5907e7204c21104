#include "fast_path/blocks/block_pipeline.hpp"

#include <algorithm>
#include <utility>

#include "fast_path/strip.hpp"
#include "tiles/element.hpp"

namespace tnm {

BlockPipeline::BlockPipeline(const SolveRequest& request)
    : array_(request.array),
      mask_(request.mask),
      item_bytes_(item_bytes(array_.dtype)),
      grid_(request.grid()),
      size_(request),
      sweeps_(grid_.m > 4),
      copies_elements_(array_.strides.column_stride() != item_bytes_),
      copies_flags_(mask_.strides.column_stride() != 1),
      // What to ask for is known for one strip at a time; a row of tiles is quicker where nobody
      // asks.
      run_columns_(sweeps_ && copies_elements_ ? kStripColumns / field_width(grid_.m)
                                               : size_.tile_columns),
      strips_(make_strip_pipeline(request)),
      copy_(make_copy(item_bytes_, copies_elements_)),
      next_copy_(make_copy(item_bytes_, copies_elements_)),
      flags_(make_copy(1, copies_flags_)) {}

BlockCopy BlockPipeline::make_copy(std::int64_t item_bytes, bool is_needed) const {
    if (!is_needed) return {static_cast<int>(item_bytes), 0, 0, 0, 0};
    // Kernels may read a strip beyond the last column.
    return {static_cast<int>(item_bytes), static_cast<int>(size_.planes),
            static_cast<int>(size_.tile_rows * grid_.m),
            static_cast<int>(size_.tile_columns * grid_.m), kStripColumns};
}

Status BlockPipeline::operator()(const TileBlock& block) {
    const std::int64_t end = block.tile_row + block.tile_rows;
    TileBlock tiles = block, next = block;
    tiles.tile_rows = std::min(size_.tile_rows, block.tile_rows);
    copy_.start(elements_of(tiles));
    for (;;) {
        next.tile_row = tiles.tile_row + tiles.tile_rows;
        next.tile_rows = std::min(size_.tile_rows, end - next.tile_row);
        next_copy_.start(elements_of(next));
        copy_.copy_rest();
        const Status status = solve(tiles);
        if (status != Status::ok || next.tile_rows == 0) return status;
        std::swap(copy_, next_copy_);
        tiles = next;
    }
}

ElementBox BlockPipeline::box_of(const TileBlock& tiles, const std::byte* data,
                                 const Strides& strides) const {
    const std::int64_t row = tiles.tile_row * grid_.m, column = tiles.tile_column * grid_.m;
    const std::int64_t rows = std::min(tiles.tile_rows * grid_.m, grid_.rows - row);
    const std::int64_t columns = std::min(tiles.tile_columns * grid_.m, grid_.columns - column);
    if (rows <= 0) return {};
    ElementBox box;
    box.data = data + strides.offset(tiles.plane, row, column);
    box.row_stride = strides.row_stride();
    box.column_stride = strides.column_stride();
    box.plane_stride = strides.last_batch_stride();
    box.planes = static_cast<int>(tiles.planes);
    box.rows = static_cast<int>(rows);
    box.columns = static_cast<int>(columns);
    return box;
}

ElementBox BlockPipeline::elements_of(const TileBlock& tiles) const {
    return copies_elements_ ? box_of(tiles, array_.data, array_.strides) : ElementBox{};
}

ElementBox BlockPipeline::flags_of(const TileBlock& tiles) const {
    const auto* data = reinterpret_cast<const std::byte*>(mask_.data);
    return copies_flags_ ? box_of(tiles, data, mask_.strides) : ElementBox{};
}

FlagsInMemory BlockPipeline::copied_flags(std::int64_t plane, std::int64_t row) const {
    const ElementsInMemory flags = flags_.at(static_cast<int>(plane), static_cast<int>(row));
    return {reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(flags.data)), flags.row_stride,
            1};
}

// Masks for `copy_`, while `next_copy_` is being copied, some columns after each run.
Status BlockPipeline::solve(const TileBlock& tiles) {
    const auto share = [runs = tiles.planes * tiles.tile_rows *
                               divide_up(tiles.tile_columns, run_columns_)](std::int64_t all) {
        return static_cast<int>(divide_up(all, runs));
    };
    flags_.start(flags_of(tiles));
    const RowsInMemory flag_lines =
        flags_.prefetch_next(static_cast<int>(tiles.tile_columns * grid_.m));
    flag_prefetcher_ = {{}, flag_lines};
    flag_share_ = share(flag_lines.rows);
    column_share_ = share(tiles.tile_columns * grid_.m);
    for (std::int64_t plane = 0; plane < tiles.planes; ++plane)
        for (std::int64_t i = 0; i < tiles.tile_rows; ++i)
            if (const Status status = solve_row(tiles, plane, i); status != Status::ok)
                return status;
    if (copies_flags_) flags_.write_back();
    return Status::ok;
}

Status BlockPipeline::solve_row(const TileBlock& tiles, std::int64_t plane, std::int64_t row) {
    for (std::int64_t j = 0; j < tiles.tile_columns; j += run_columns_) {
        const TileRun run{tiles.plane + plane, tiles.tile_row + row, tiles.tile_column + j,
                          std::min(run_columns_, tiles.tile_columns - j)};
        const auto first_row = static_cast<int>(row * grid_.m);
        const FlagsInMemory flags = copies_flags_
                                        ? copied_flags(plane, first_row).from_column(j * grid_.m)
                                        : tnm::flags_of(mask_, grid_.m, run);
        flag_prefetcher_.prefetch(flag_share_);
        if (!copies_elements_) {
            const Status status = (*strips_)(run, tnm::elements_of(array_, grid_.m, run), flags);
            if (status != Status::ok) return status;
            continue;
        }
        const RowsInMemory next_rows = next_copy_.prefetch_next(column_share_);
        if (!sweeps_) Prefetcher(next_rows, {}).prefetch(next_rows.rows);
        const Status status =
            (*strips_)(run, copy_.at(static_cast<int>(plane), first_row).from_column(j * grid_.m),
                       flags, &next_rows);
        if (status != Status::ok) return status;
        next_copy_.copy_prefetched();
    }
    return Status::ok;
}

}  // namespace tnm
