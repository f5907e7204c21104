#include "fast_path/narrow/gathered_tiles.hpp"

#include <utility>

#include "fast_path/strip.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// Another cache line keeps rows from lying a power of two apart.
constexpr std::int64_t kGap = 64;

Strides rows_of(int rows, std::int64_t columns, std::int64_t item_bytes) {
    Strides strides;
    strides.rank = 2;
    strides.shape = {rows, columns};
    strides.bytes = {columns * item_bytes + kGap, item_bytes};
    return strides;
}

}  // namespace

GatheredTiles::GatheredTiles(const SolveRequest& request, std::int64_t tiles)
    : request_(request),
      grid_(request.grid()),
      item_bytes_(item_bytes(request.array.dtype)),
      columns_(tiles * grid_.m),
      elements_(static_cast<std::size_t>((grid_.m * columns_ + kStripColumns) * item_bytes_ +
                                         grid_.m * kGap)),
      mask_(static_cast<std::size_t>(grid_.m * (columns_ + kGap))),
      copy_(request_for_copy()),
      strips_(make_strip_pipeline(copy_)),
      element_copy_(static_cast<int>(item_bytes_)),
      flag_copy_(1) {}

SolveRequest GatheredTiles::request_for_copy() {
    SolveRequest copy = request_;
    copy.array = {elements_.data(), request_.array.dtype, rows_of(grid_.m, columns_, item_bytes_)};
    copy.mask = {mask_.data(), rows_of(grid_.m, columns_, 1)};
    if (request_.observer != nullptr) copy.observer = this;
    return copy;
}

void GatheredTiles::observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                            const TilePrices& prices) {
    request_.observer->observe(index_of(index), scores, mask, prices);
}

template <class T>
std::uint64_t GatheredTiles::pass_on(TilesInLanes<T> tiles) const {
    std::int64_t indices[TilesInLanes<T>::kCount];
    for (int t = 0; t < tiles.tiles; ++t) indices[t] = index_of(tiles.indices[t]);
    tiles.indices = indices;
    return request_.observer->observe(tiles);
}

std::int64_t GatheredTiles::index_of(std::int64_t number) const {
    const std::int64_t row = number / block_.tile_columns;
    return tile_index(grid_, block_.plane + row / block_.tile_rows,
                      block_.tile_row + row % block_.tile_rows,
                      block_.tile_column + number % block_.tile_columns);
}

Status GatheredTiles::operator()(const TileBlock& block) {
    const std::int64_t tiles = block.planes * block.tile_rows * block.tile_columns;
    block_ = block;
    const TileRun run{0, 0, 0, tiles};
    const ElementsInMemory elements = elements_of(copy_.array, grid_.m, run);
    const FlagsInMemory flags = flags_of(copy_.mask, grid_.m, run);
    element_copy_(request_.array.data + offset(request_.array.strides, block), elements_.data(),
                  axes(block, request_.array.strides, copy_.array.strides, false));
    if (const Status status = (*strips_)(run, elements, flags); status != Status::ok) return status;
    flag_copy_(
        reinterpret_cast<const std::byte*>(mask_.data()),
        reinterpret_cast<std::byte*>(request_.mask.data + offset(request_.mask.strides, block)),
        axes(block, request_.mask.strides, copy_.mask.strides, true));
    return Status::ok;
}

std::int64_t GatheredTiles::offset(const Strides& strides, const TileBlock& block) const {
    return strides.offset(block.plane, block.tile_row * grid_.m, block.tile_column * grid_.m);
}

// The tiles of a block as they lie there, and side by side.
CopyAxes GatheredTiles::axes(const TileBlock& block, const Strides& there, const Strides& here,
                             bool back) const {
    const std::int64_t m = grid_.m, step = here.column_stride();
    const std::int64_t columns = block.tile_columns * m, row_of_tiles = columns * step;
    CopyAxes axes{{{block.planes, there.last_batch_stride(), block.tile_rows * row_of_tiles},
                   {block.tile_rows, m * there.row_stride(), row_of_tiles},
                   {m, there.row_stride(), here.row_stride()},
                   {columns, there.column_stride(), step}}};
    if (back)
        for (CopyAxis& axis : axes) std::swap(axis.from, axis.to);
    return axes;
}

}  // namespace tnm
