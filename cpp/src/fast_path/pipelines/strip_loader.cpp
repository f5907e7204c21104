#include "fast_path/pipelines/strip_loader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tiles/element.hpp"

namespace tnm {

template <class T>
StripLoader<T>::StripLoader(const SolveRequest& request)
    : grid_(request.grid()),
      field_(field_width(grid_.m)),
      item_bytes_(item_bytes(request.array.dtype)),
      load_(strip_kernels().of<T>().loader(request.array.dtype, request.score, grid_.m)),
      find_inexact_(inexact_finder(request.array.dtype, request.score)) {
    // What no kernel writes: rows beyond m.
    std::fill_n(scores_.values, field_ * kStripColumns, T{0});
}

template <class T>
bool StripLoader<T>::load(const StripPlace& place) {
    const std::int64_t next_tile = place.tile_column + place.tiles;
    const bool full = place.tiles == kStripColumns / field_;
    // With padding, the kernel reads into the next full tile.
    const bool readable = full && (field_ == grid_.m || next_tile < grid_.columns / grid_.m);
    const ElementsInMemory elements = readable ? place.elements : copy_of(place, 0);
    LoadedStrip loaded = load_(elements.data, elements.row_stride, grid_.m, scores_);
    left_out_ = inexact_tiles(place, loaded.doubtful);
    if (left_out_ == 0) return loaded.finite;
    const ElementsInMemory rest = copy_of(place, left_out_);
    return load_(rest.data, rest.row_stride, grid_.m, scores_).finite;
}

template <class T>
ElementsInMemory StripLoader<T>::copy_of(const StripPlace& place, std::uint64_t left_out) {
    const std::int64_t stride = kStripColumns * item_bytes_;
    const auto tile_bytes = static_cast<std::size_t>(grid_.m * item_bytes_);
    copy_.assign(static_cast<std::size_t>(grid_.m * stride), std::byte{0});
    for (int i = 0; i < grid_.m; ++i) {
        std::byte* row = copy_.data() + i * stride;
        std::memcpy(row, place.elements.data + i * place.elements.row_stride,
                    static_cast<std::size_t>(place.tiles) * tile_bytes);
        for (std::uint64_t rest = left_out; rest != 0; rest &= rest - 1)
            std::memset(row + static_cast<std::size_t>(std::countr_zero(rest)) * tile_bytes, 0,
                        tile_bytes);
    }
    return {copy_.data(), stride, item_bytes_};
}

template <class T>
std::uint64_t StripLoader<T>::inexact_tiles(const StripPlace& place, std::uint64_t doubtful) const {
    std::uint64_t tiles = 0;
    if (find_inexact_ == nullptr || doubtful == 0) return tiles;
    for (int tile = 0; tile < place.tiles; ++tile)
        if ((doubtful >> tile & 1) != 0 &&
            find_inexact_({place.elements.from_column(tile * grid_.m), grid_.m, grid_.m}))
            tiles |= std::uint64_t{1} << tile;
    return tiles;
}

template class StripLoader<float>;
template class StripLoader<double>;

}  // namespace tnm
