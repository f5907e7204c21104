// The kernels of the fast path: what is compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "copies/copy_kernels.hpp"
#include "fast_path/strip.hpp"
#include "tiles/prefetcher.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

template <class T>
using SolveStrip = void (*)(const StripScores<T>& scores, Pattern pattern, Prefetcher prefetcher,
                            StripSolution& solution);

// A mask without prices.
template <class T>
using MaskStrip = void (*)(const T* scores, Pattern pattern, std::uint64_t* kept);

// Prices that may prove the masks of a strip of 4 x 4 tiles; which do is for a proof to tell.
template <class T>
using PriceStrip = void (*)(const T* scores, const std::uint64_t* kept, double* row_prices,
                            double* column_prices);

// Masks for `strips` whole strips of neighbouring elements, straight to memory. Stops before the
// first strip that needs another road, and returns how many are done.
using MaskRun = int (*)(const std::byte* data, std::int64_t row_stride, int strips,
                        std::uint8_t* mask, std::int64_t mask_row_stride);

// Masks for 64 contiguous columns of full tiles, straight to memory; rows are a multiple of
// kRowsOfMaskColumnMajor. Sets uncertain[k] to 1 where the tiles of tile row k need another road.
// `space`: kStripColumns bytes for every row.
using MaskColumnMajor = void (*)(const ColumnBlock& block, std::uint8_t* mask,
                                 std::int64_t mask_row_stride, std::int32_t* space,
                                 std::uint8_t* uncertain);
inline constexpr int kRowsOfMaskColumnMajor = 64;

// Whether float holds every score of such elements exactly.
__attribute__((always_inline)) inline constexpr bool fits_float(Dtype dtype, Score score) {
    switch (dtype) {
        case Dtype::boolean:
        case Dtype::int8:
        case Dtype::uint8:
        case Dtype::float16:
            return true;
        case Dtype::int16:
        case Dtype::uint16:
        case Dtype::bfloat16:
        case Dtype::float32:
            return score != Score::square;
        default:
            return false;
    }
}

struct LoadedStrip {
    bool finite;             // whether all scores are
    std::uint64_t doubtful;  // bit g: T may not hold those of tile g, or their sums, exactly
};

// Reads m rows of a strip of full tiles, whose elements are neighbours, into the fields' first m
// lanes. May read elements that belong to the next tile.
template <class T>
using LoadStrip = LoadedStrip (*)(const std::byte* data, std::int64_t row_stride, int m,
                                  StripScores<T>& scores);

// Writes `rows` rows of 64 neighbouring flags.
using StoreStrip = void (*)(const std::uint64_t* kept, int rows, std::uint8_t* data,
                            std::int64_t row_stride);

// The kernels that read scores of type T.
template <class T>
struct ScoreKernels {
    SolveStrip<T> (*solver)(Pattern pattern);
    // Optimal masks in closed form; null unless m = 4.
    MaskStrip<T> (*four_by_four)(Pattern pattern);
    // The first proves masks that no other comes near, the second is slower and proves nearly all.
    PriceStrip<T> price_four_by_four[2];
    // Null where T does not hold such scores, or more than need be.
    LoadStrip<T> (*loader)(Dtype dtype, Score score, int m);
};

// For m up to kLargestStripM and n < m.
struct StripKernels {
    ScoreKernels<float> floats;
    ScoreKernels<double> doubles;
    // Null where there are no such shortcuts. `turned`: rows and columns have changed places, in
    // elements and mask.
    MaskRun (*four_by_four_run)(Pattern pattern, Dtype dtype, Score score, bool turned);
    MaskColumnMajor (*four_by_four_column_major)(Pattern pattern, Dtype dtype, Score score,
                                                 bool turned);
    StoreStrip store;

    template <class T>
    const ScoreKernels<T>& of() const {
        if constexpr (sizeof(T) == sizeof(float))
            return floats;
        else
            return doubles;
    }
};

// Those of the instruction set in use.
const StripKernels& strip_kernels();

}  // namespace tnm
