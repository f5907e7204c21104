#include "fast_path/blocks/two_of_four_blocks.hpp"

#include <algorithm>
#include <numeric>

#include "tiles/element.hpp"

namespace tnm {

bool has_two_of_four_blocks(const SolveRequest& request) {
    return request.observer == nullptr &&
           request.array.strides.row_stride() == item_bytes(request.array.dtype) &&
           request.mask.strides.column_stride() == 1 &&
           strip_kernels().four_by_four_column_major(request.pattern, request.array.dtype,
                                                     request.score) != nullptr;
}

std::int64_t TwoOfFourBlocks::tile_columns_past_line(const MaskView& mask) {
    constexpr std::uintptr_t kCacheLine = 64;
    if (mask.strides.row_stride() % kCacheLine != 0 || mask.strides.columns() < 4 * kStripColumns)
        return 0;
    const auto past_line = reinterpret_cast<std::uintptr_t>(mask.data) % kCacheLine;
    return static_cast<std::int64_t>(past_line + 3) / 4 % kTileColumns;
}

TwoOfFourBlocks::TwoOfFourBlocks(const SolveRequest& request)
    : array_(request.array),
      mask_(request.mask),
      kernel_(
          strip_kernels().four_by_four_column_major(request.pattern, array_.dtype, request.score)),
      blocks_(request) {
    const std::int64_t rows = std::min(4 * kTileRows, array_.strides.rows());
    space_.resize(static_cast<std::size_t>(rows) * kStripColumns / sizeof(std::int32_t));
    marks_.resize(static_cast<std::size_t>(rows) / 4);
}

Status TwoOfFourBlocks::operator()(const TileBlock& block) {
    constexpr std::int64_t kStep = kRowsOfMaskColumnMajor / 4;
    const bool full_columns = block.tile_columns == kTileColumns &&
                              (block.tile_column + kTileColumns) * 4 <= array_.strides.columns();
    const std::int64_t full_rows =
        std::min(block.tile_rows, array_.strides.rows() / 4 - block.tile_row);
    TileBlock direct = block, rest = block;
    direct.tile_rows = full_columns ? full_rows / kStep * kStep : 0;
    // Where ties are the rule, copies are quicker than going back to one row after another.
    if (direct.tile_rows > 0 && run_kernel(direct) > direct.tile_rows / 8) direct.tile_rows = 0;
    if (const Status status = solve_marked(direct); status != Status::ok) return status;
    rest.tile_row += direct.tile_rows;
    rest.tile_rows -= direct.tile_rows;
    return rest.tile_rows == 0 ? Status::ok : blocks_(rest);
}

std::int64_t TwoOfFourBlocks::run_kernel(const TileBlock& block) {
    const Strides &from = array_.strides, &to = mask_.strides;
    const std::int64_t row = block.tile_row * 4, column = block.tile_column * 4;
    const ColumnBlock elements{array_.data + from.offset(block.plane, row, column),
                               from.column_stride(), static_cast<int>(block.tile_rows * 4),
                               kStripColumns};
    std::uint8_t* flags = mask_.data + to.offset(block.plane, row, column);
    std::fill(marks_.begin(), marks_.end(), std::uint8_t{0});
    kernel_(elements, flags, to.row_stride(), space_.data(), marks_.data());
    return std::accumulate(marks_.begin(), marks_.begin() + block.tile_rows, std::int64_t{0});
}

Status TwoOfFourBlocks::solve_marked(const TileBlock& block) {
    for (std::int64_t i = 0; i < block.tile_rows; ++i) {
        if (marks_[static_cast<std::size_t>(i)] == 0) continue;
        TileBlock row = block;
        row.tile_row += i;
        row.tile_rows = 1;
        const Status status = blocks_(row);
        if (status != Status::ok) return status;
    }
    return Status::ok;
}

}  // namespace tnm
