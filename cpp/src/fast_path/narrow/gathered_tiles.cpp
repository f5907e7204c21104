#include "fast_path/narrow/gathered_tiles.hpp"

#include <cstring>

#include "fast_path/strip.hpp"
#include "tiles/element.hpp"
#include "tiles/item_bytes.hpp"

namespace tnm {
namespace {

// A square of `size` rows and columns; kBytes of an element.
struct Square {
    int size;
    std::int64_t row_stride, column_stride;
};

template <std::int64_t kBytes, class From, class To>
void copy_row(const From* from, std::int64_t from_stride, To* to, std::int64_t to_stride,
              int size) {
    for (int j = 0; j < size; ++j)
        std::memcpy(to + j * to_stride, from + j * from_stride, static_cast<std::size_t>(kBytes));
}

// Steps and sizes that are known spare most of the time of such short copies.
template <std::int64_t kBytes, int kSize, class Byte>
void copy_square(const Byte* from, const Square& source, Byte* to, const Square& target) {
    const int size = kSize == 0 ? source.size : kSize;
    const bool neighbours = source.column_stride == kBytes && target.column_stride == kBytes;
    for (int i = 0; i < size; ++i, from += source.row_stride, to += target.row_stride) {
        if (neighbours)
            std::memcpy(to, from, static_cast<std::size_t>(size * kBytes));
        else
            copy_row<kBytes>(from, source.column_stride, to, target.column_stride, size);
    }
}

template <std::int64_t kBytes, class Byte>
void copy_square(const Byte* from, const Square& source, Byte* to, const Square& target) {
    switch (source.size) {
        case 4:
            return copy_square<kBytes, 4>(from, source, to, target);
        case 8:
            return copy_square<kBytes, 8>(from, source, to, target);
        case 16:
            return copy_square<kBytes, 16>(from, source, to, target);
        default:
            return copy_square<kBytes, 0>(from, source, to, target);
    }
}

Strides rows_of(int rows, std::int64_t columns, std::int64_t item_bytes) {
    Strides strides;
    strides.rank = 2;
    strides.shape = {rows, columns};
    strides.bytes = {columns * item_bytes, item_bytes};
    return strides;
}

}  // namespace

GatheredTiles::GatheredTiles(const SolveRequest& request, const TileSequence& sequence,
                             std::int64_t tiles)
    : request_(request),
      sequence_(sequence),
      grid_(request.grid()),
      item_bytes_(item_bytes(request.array.dtype)),
      columns_(tiles * grid_.m),
      elements_(static_cast<std::size_t>((grid_.m * columns_ + kStripColumns) * item_bytes_)),
      mask_(static_cast<std::size_t>(grid_.m * columns_)),
      copy_(request_for_copy()),
      strips_(make_strip_pipeline(copy_, item_bytes_)) {}

SolveRequest GatheredTiles::request_for_copy() {
    SolveRequest copy = request_;
    copy.array = {elements_.data(), request_.array.dtype, rows_of(grid_.m, columns_, item_bytes_)};
    copy.mask = {mask_.data(), rows_of(grid_.m, columns_, 1)};
    if (request_.observer != nullptr) copy.observer = this;
    return copy;
}

void GatheredTiles::observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                            const TilePrices& prices) {
    const auto [plane, tile_row, tile_column] = sequence_.place(first_ + index);
    request_.observer->observe(tile_index(grid_, plane, tile_row, tile_column), scores, mask,
                               prices);
}

template <class T>
std::uint64_t GatheredTiles::pass_on(TilesInLanes<T> tiles) const {
    std::int64_t indices[TilesInLanes<T>::kCount];
    TileSequence::Place place = sequence_.place(first_ + tiles.indices[0]);
    for (int t = 0; t < tiles.tiles; ++t, sequence_.advance(place))
        indices[t] = tile_index(grid_, place.plane, place.tile_row, place.tile_column);
    tiles.indices = indices;
    return request_.observer->observe(tiles);
}

Status GatheredTiles::operator()(std::int64_t first, std::int64_t tiles) {
    first_ = first;
    copy_elements(first, tiles);
    const Status status =
        (*strips_)({0, 0, 0, tiles}, {elements_.data(), columns_ * item_bytes_, item_bytes_});
    if (status == Status::ok) copy_mask(first, tiles);
    return status;
}

void GatheredTiles::copy_elements(std::int64_t first, std::int64_t tiles) {
    const int m = grid_.m;
    const Strides& from = request_.array.strides;
    const Square source{m, from.row_stride(), from.column_stride()};
    const Square target{m, columns_ * item_bytes_, item_bytes_};
    visit_item_bytes(static_cast<std::size_t>(item_bytes_), [&]<std::int64_t kBytes>() {
        TileSequence::Place place = sequence_.place(first);
        for (std::int64_t t = 0; t < tiles; ++t, sequence_.advance(place))
            copy_square<kBytes>(request_.array.data + from.offset(place.plane, place.tile_row * m,
                                                                  place.tile_column * m),
                                source, elements_.data() + t * m * kBytes, target);
    });
}

void GatheredTiles::copy_mask(std::int64_t first, std::int64_t tiles) const {
    const int m = grid_.m;
    const Strides& to = request_.mask.strides;
    const Square source{m, columns_, 1}, target{m, to.row_stride(), to.column_stride()};
    TileSequence::Place place = sequence_.place(first);
    for (std::int64_t t = 0; t < tiles; ++t, sequence_.advance(place))
        copy_square<1>(
            mask_.data() + t * m, source,
            request_.mask.data + to.offset(place.plane, place.tile_row * m, place.tile_column * m),
            target);
}

}  // namespace tnm
