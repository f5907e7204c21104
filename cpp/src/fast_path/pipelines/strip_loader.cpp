#include "fast_path/pipelines/strip_loader.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "tiles/element.hpp"

namespace tnm {
namespace {

// The kernels only read whole strips.
template <class T>
LoadStrip<T> find_kernel(const SolveRequest& request) {
    return strip_kernels().of<T>().loader(request.array.dtype, request.score, request.pattern.m);
}

}  // namespace

template <class T>
StripLoader<T>::StripLoader(const SolveRequest& request)
    : grid_(request.grid()),
      field_(field_width(grid_.m)),
      load_rows_(find_kernel<T>(request)),
      load_any_(score_loader<T>(request.array.dtype, request.score)),
      find_inexact_(inexact_finder(request.array.dtype, request.score)) {
    std::fill_n(scores_.values, field_ * kStripColumns, T{0});
}

template <class T>
bool StripLoader<T>::load(const StripPlace& place) {
    const ElementsInMemory& elements = place.elements;
    const int m = grid_.m, tiles_per_strip = kStripColumns / field_;
    const bool full = place.tiles == tiles_per_strip;
    // With padding, the kernels read into the next full tile.
    const std::int64_t next_tile = place.tile_column + place.tiles;
    const bool readable = field_ == m || next_tile < grid_.columns / m;
    const bool by_rows = full && readable && load_rows_ != nullptr;
    LoadedStrip loaded{true, ~std::uint64_t{0}};
    if (by_rows) loaded = load_rows_(elements.data, elements.row_stride, m, scores_);
    left_out_ = inexact_tiles(place, loaded.doubtful);
    if (by_rows && left_out_ == 0) return loaded.finite;
    if (!full || left_out_ != 0)
        std::fill(scores_.values, scores_.values + field_ * kStripColumns, T{0});
    const bool finite = load_anyhow(place);
    find_largest();
    return finite;
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

template <class T>
bool StripLoader<T>::load_anyhow(const StripPlace& place) {
    const ElementsInMemory& elements = place.elements;
    const int m = grid_.m;
    if (field_ == m && left_out_ == 0)
        return load_any_({elements, m, place.tiles * m}, scores_.values, kStripColumns);
    bool finite = true;
    for (int tile = 0; tile < place.tiles; ++tile) {
        if (left_out_ >> tile & 1) continue;
        finite &= load_any_({elements.from_column(tile * m), m, m}, scores_.values + tile * field_,
                            kStripColumns);
    }
    return finite;
}

template <class T>
void StripLoader<T>::find_largest() {
    std::fill(std::begin(scores_.largest), std::end(scores_.largest), T{0});
    for (int i = 0; i < field_; ++i)
        for (int c = 0; c < kStripColumns; ++c)
            scores_.largest[c] =
                std::max(scores_.largest[c], std::fabs(scores_.values[i * kStripColumns + c]));
}

template class StripLoader<float>;
template class StripLoader<double>;

}  // namespace tnm
