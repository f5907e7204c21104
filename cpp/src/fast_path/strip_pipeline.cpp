#include "fast_path/strip_pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "solvers/exact/polish.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// `exactly`: rounding has been found to matter, so do not try without double precision again.
template <class T>
MaskStrip<T> find_mask_kernel(const SolveRequest& request, bool exactly) {
    const ScoreKernels<T>& kernels = strip_kernels().of<T>();
    return request.method == SolveMethod::rowwise ? kernels.rowwise(request.pattern)
                                                  : kernels.four_by_four(request.pattern, exactly);
}

std::uint64_t lowest_bits(int count) {
    return ~std::uint64_t{0} >> (64 - count);
}

MaskRun find_shortcut(const SolveRequest& request, std::int64_t column_stride) {
    const Dtype dtype = request.array.dtype;
    const bool side_by_side =
        column_stride == item_bytes(dtype) && request.mask.layout.column_stride() == 1;
    if (request.method != SolveMethod::exact || request.observer || !side_by_side) return nullptr;
    return strip_kernels().four_by_four_run(request.pattern, dtype, request.score);
}

}  // namespace

template <class T>
StripPipeline<T>::StripPipeline(const SolveRequest& request, std::int64_t column_stride)
    : mask_(request.mask),
      pattern_(request.pattern),
      observer_(request.observer),
      grid_(request.grid()),
      field_(field_width(pattern_.m)),
      kernels_(strip_kernels()),
      solve_(request.method == SolveMethod::exact ? kernels_.template of<T>().solver(pattern_)
                                                  : nullptr),
      mask_run_(find_shortcut(request, column_stride)),
      mask_strip_(find_mask_kernel<T>(request, mask_run_ != nullptr)),
      load_rows_(kernels_.template of<T>().loader(request.array.dtype, request.score, pattern_.m)),
      load_any_(score_loader<T>(request.array.dtype, request.score)),
      edge_tiles_(request),
      general_(request.make_solver()),
      may_be_extreme_(
          request.method == SolveMethod::exact &&
          (request.score == Score::identity || (std::is_same_v<T, double> && pattern_.m == 4))),
      tile_scores_(static_cast<std::size_t>(pattern_.m) * pattern_.m) {
    // The kernels only read whole strips of elements that lie side by side.
    if (column_stride != item_bytes(request.array.dtype)) load_rows_ = nullptr;
    std::fill(std::begin(scores_.values), std::end(scores_.values), T{0});
    solution_.wants_prices = static_cast<bool>(observer_);
}

template <class T>
Status StripPipeline<T>::operator()(const TileRun& run, const ElementsInMemory& elements,
                                    const RowsInMemory* ahead) {
    ahead_ = ahead;
    const std::int64_t end = run.first_tile_column + run.tile_columns;
    const bool full_rows = grid_.height(run.tile_row) == grid_.m;
    const std::int64_t full_end =
        full_rows ? std::min(end, grid_.columns / grid_.m) : run.first_tile_column;
    const int tiles_per_strip = kStripColumns / field_;
    std::int64_t column = run.first_tile_column;
    while (column < full_end) {
        column += shortcut(run, elements, column, full_end);
        if (column >= full_end) break;
        const auto tiles =
            static_cast<int>(std::min<std::int64_t>(tiles_per_strip, full_end - column));
        const std::int64_t first = (column - run.first_tile_column) * grid_.m;
        if (!process({run.plane, run.tile_row, column, tiles, elements.from_column(first)}))
            return Status::non_finite_score;
        column += tiles_per_strip;
    }
    column = std::min(column, full_end);
    if (column == end) return Status::ok;
    const std::int64_t first = (column - run.first_tile_column) * grid_.m;
    return edge_tiles_({run.plane, run.tile_row, column, end - column},
                       elements.from_column(first));
}

// Returns how many tiles are done.
template <class T>
std::int64_t StripPipeline<T>::shortcut(const TileRun& run, const ElementsInMemory& elements,
                                        std::int64_t column, std::int64_t end) const {
    const int tiles_per_strip = kStripColumns / field_;
    const auto strips = static_cast<int>((end - column) / tiles_per_strip);
    if (mask_run_ == nullptr || strips == 0) return 0;
    const Place place{run.plane, run.tile_row, column, tiles_per_strip,
                      elements.from_column((column - run.first_tile_column) * grid_.m)};
    return tiles_per_strip * mask_run_(place.elements.data, place.elements.row_stride, strips,
                                       flags(place), mask_.layout.row_stride());
}

template <class T>
bool StripPipeline<T>::process(const Place& place) {
    if (!load(place)) return false;
    // Any optimal prices prove any optimal mask, so that 4 x 4 tiles need them only for a proof.
    if (mask_strip_ == nullptr || observer_) solve(place);
    if (mask_strip_ != nullptr) mask_strip_(scores_.values, pattern_, solution_.kept);
    if (may_be_extreme_)
        for (int tile = 0; tile < place.tiles; ++tile)
            if (is_extreme(tile)) solve_rest(tile);
    if (observer_)
        for (int tile = 0; tile < place.tiles; ++tile) observe(place, tile);
    store(place);
    return true;
}

template <class T>
void StripPipeline<T>::solve(const Place& place) {
    solve_(scores_, pattern_, after(place), solution_);
    if constexpr (std::is_same_v<T, float>)
        if (solution_.out_of_range != 0) solve_in_double();
    if (solution_.unsolved != 0)
        for (int tile = 0; tile < place.tiles; ++tile)
            if (solution_.unsolved >> tile & 1) solve_rest(tile);
}

template <class T>
std::uint8_t* StripPipeline<T>::flags(const Place& place) const {
    const Layout& layout = mask_.layout;
    return mask_.data + layout.plane_offset(place.plane) +
           place.tile_row * grid_.m * layout.row_stride() +
           place.tile_column * grid_.m * layout.column_stride();
}

// The next strip's elements unless the caller knows better, and this one's flags.
template <class T>
Upcoming StripPipeline<T>::after(const Place& place) const {
    if (load_rows_ == nullptr && ahead_ == nullptr) return {};
    const std::int64_t bytes = kStripColumns / field_ * grid_.m * place.elements.column_stride;
    const RowsInMemory next_strip{place.elements.data + bytes, place.elements.row_stride, bytes,
                                  grid_.m};
    RowsInMemory to_write;
    if (mask_.layout.column_stride() == 1)
        to_write = {reinterpret_cast<const std::byte*>(flags(place)), mask_.layout.row_stride(),
                    kStripColumns, grid_.m};
    return {ahead_ != nullptr ? *ahead_ : next_strip, to_write};
}

template <class T>
bool StripPipeline<T>::load(const Place& place) {
    const ElementsInMemory& elements = place.elements;
    const int m = grid_.m, tiles_per_strip = kStripColumns / field_;
    const bool full = place.tiles == tiles_per_strip;
    // With padding, the kernels read into the next full tile.
    const std::int64_t next_tile = place.tile_column + place.tiles;
    const bool readable = field_ == m || next_tile < grid_.columns / m;
    if (full && readable && load_rows_ != nullptr)
        return load_rows_(elements.data, elements.row_stride, m, scores_);
    if (!full) std::fill(scores_.values, scores_.values + field_ * kStripColumns, T{0});
    const bool finite = load_anyhow(place);
    find_largest();
    return finite;
}

template <class T>
bool StripPipeline<T>::load_anyhow(const Place& place) {
    const auto& [data, row_stride, column_stride] = place.elements;
    const int m = grid_.m;
    const ElementBlock strip{data, row_stride, column_stride, m, place.tiles * m};
    if (field_ == m) return load_any_(strip, scores_.values, kStripColumns);
    bool finite = true;
    for (int tile = 0; tile < place.tiles; ++tile) {
        const ElementBlock block{data + tile * m * column_stride, row_stride, column_stride, m, m};
        finite &= load_any_(block, scores_.values + tile * field_, kStripColumns);
    }
    return finite;
}

template <class T>
void StripPipeline<T>::find_largest() {
    std::fill(std::begin(scores_.largest), std::end(scores_.largest), T{0});
    for (int i = 0; i < field_; ++i)
        for (int c = 0; c < kStripColumns; ++c)
            scores_.largest[c] =
                std::max(scores_.largest[c], std::fabs(scores_.values[i * kStripColumns + c]));
}

template <class T>
ScoreTile StripPipeline<T>::tile_scores(int tile) {
    const int m = grid_.m;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j)
            tile_scores_[static_cast<std::size_t>(i) * m + j] =
                static_cast<double>(scores_.values[i * kStripColumns + tile * field_ + j]);
    return {tile_scores_.data(), m, m, m, pattern_};
}

// Float scores of extreme size: the mask must be the one that the same scores have as doubles.
template <class T>
void StripPipeline<T>::solve_in_double() {
    StripScores<double> wide;
    for (int k = 0; k < field_ * kStripColumns; ++k)
        wide.values[k] = static_cast<double>(scores_.values[k]);
    for (int c = 0; c < kStripColumns; ++c)
        wide.largest[c] = static_cast<double>(scores_.largest[c]);
    kernels_.doubles.solver(pattern_)(wide, pattern_, {}, solution_);
}

template <class T>
void StripPipeline<T>::solve_rest(int tile) {
    const int m = grid_.m, first = tile * field_;
    general_->solve(tile_scores(tile), tile_mask_, &tile_prices_);
    for (int i = 0; i < m; ++i) {
        solution_.kept[i] &= ~(lowest_bits(m) << first);
        solution_.kept[i] |= tile_mask_.word(i, 0) << first;
        solution_.row_prices[first + i] = std::ldexp(tile_prices_.row[i], tile_prices_.exponent);
        solution_.column_prices[first + i] =
            std::ldexp(tile_prices_.column[i], tile_prices_.exponent);
    }
}

// Tiles for whose scores double is too coarse or too short at the kernels' scale.
template <class T>
bool StripPipeline<T>::is_extreme(int tile) const {
    constexpr double kSumsMayOverflow = 0x1p1000;
    double largest = 0.0, kept = 0.0;
    for (int i = 0; i < grid_.m; ++i)
        for (int j = 0; j < grid_.m; ++j) {
            const int lane = tile * field_ + j;
            const double magnitude =
                std::fabs(static_cast<double>(scores_.values[i * kStripColumns + lane]));
            largest = std::max(largest, magnitude);
            if (solution_.kept[i] >> lane & 1) kept += magnitude;
        }
    return largest > kSumsMayOverflow || needs_polish(kept, largest);
}

template <class T>
void StripPipeline<T>::observe(const Place& place, int tile) {
    const int m = grid_.m, first = tile * field_;
    tile_mask_.reset(m);
    tile_prices_.exponent = 0;
    for (int i = 0; i < m; ++i) {
        tile_mask_.set_word(i, 0, solution_.kept[i] >> first & lowest_bits(m));
        tile_prices_.row[i] = solution_.row_prices[first + i];
        tile_prices_.column[i] = solution_.column_prices[first + i];
    }
    const std::int64_t index =
        (place.plane * grid_.tile_rows() + place.tile_row) * grid_.tile_columns() +
        place.tile_column + tile;
    observer_(index, tile_scores(tile), tile_mask_, tile_prices_);
}

template <class T>
void StripPipeline<T>::store(const Place& place) {
    const Layout& layout = mask_.layout;
    std::uint8_t* data = flags(place);
    const int m = grid_.m, columns = place.tiles * m;
    if (field_ != m) close_gaps(place.tiles);
    if (layout.column_stride() == 1 && columns == kStripColumns)
        return kernels_.store(solution_.kept, m, data, layout.row_stride());
    for (int i = 0; i < m; ++i)
        store_row(solution_.kept[i], columns, layout.column_stride(),
                  data + i * layout.row_stride());
}

// Moves the fields' bits together, without the padding between them.
template <class T>
void StripPipeline<T>::close_gaps(int tiles) {
    const int m = grid_.m;
    for (int i = 0; i < m; ++i) {
        std::uint64_t together = 0;
        for (int tile = 0; tile < tiles; ++tile)
            together |= (solution_.kept[i] >> (tile * field_) & lowest_bits(m)) << (tile * m);
        solution_.kept[i] = together;
    }
}

template <class T>
void StripPipeline<T>::store_row(std::uint64_t bits, int columns, std::int64_t stride,
                                 std::uint8_t* data) {
    std::uint8_t flags[kStripColumns];
    kernels_.store(&bits, 1, flags, 0);
    if (stride == 1) {
        std::memcpy(data, flags, static_cast<std::size_t>(columns));
    } else {
        for (int c = 0; c < columns; ++c) data[c * stride] = flags[c];
    }
}

template class StripPipeline<float>;
template class StripPipeline<double>;

namespace {

template <class T>
RunWorker make_worker(const SolveRequest& request) {
    auto pipeline =
        std::make_shared<StripPipeline<T>>(request, request.array.layout.column_stride());
    return [pipeline, &request](const TileRun& run) {
        return (*pipeline)(run, elements_of(request.array, request.pattern.m, run));
    };
}

}  // namespace

Status solve_strips(const SolveRequest& request, const Execution& execution) {
    const bool floats = fits_float(request.array.dtype, request.score);
    return walk_tiles(request.grid(), request.array.layout.planes(), execution, [&] {
        return floats ? make_worker<float>(request) : make_worker<double>(request);
    });
}

}  // namespace tnm
