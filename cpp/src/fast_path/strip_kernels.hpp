// The code that is compiled once for each instruction set, and the choice among the copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fast_path/strip.hpp"
#include "fast_path/upcoming.hpp"
#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

template <class T>
using SolveStrip = void (*)(const StripScores<T>& scores, Pattern pattern, Upcoming upcoming,
                            StripSolution& solution);

// A mask without prices.
template <class T>
using MaskStrip = void (*)(const T* scores, Pattern pattern, std::uint64_t* kept);

// Masks for `strips` whole strips of neighbouring elements, straight to memory. Stops before the
// first strip that needs another road, and returns how many are done.
using MaskRun = int (*)(const std::byte* data, std::int64_t row_stride, int strips,
                        std::uint8_t* mask, std::int64_t mask_row_stride);

// Elements of which those of a column are neighbours in memory.
struct ColumnBlock {
    const std::byte* data = nullptr;
    std::int64_t column_stride = 0;
    int rows = 0, columns = 0;
};

// Masks for 64 contiguous columns of full tiles, straight to memory; rows are a multiple of
// kRowsOfMaskDown. Sets doubtful[k] to 1 where the tiles of tile row k need another road. `space`:
// kStripColumns bytes for every row.
using MaskDown = void (*)(const ColumnBlock& block, std::uint8_t* mask,
                          std::int64_t mask_row_stride, std::int32_t* space,
                          std::uint8_t* doubtful);
inline constexpr int kRowsOfMaskDown = 32;

// Reads m rows of a strip of full tiles, whose elements are neighbours, into the fields' first m
// lanes; returns whether all scores are finite. May read elements that belong to the next tile.
template <class T>
using LoadStrip = bool (*)(const std::byte* data, std::int64_t row_stride, int m,
                           StripScores<T>& scores);

// Writes `rows` rows of 64 neighbouring flags.
using StoreStrip = void (*)(const std::uint64_t* kept, int rows, std::uint8_t* data,
                            std::int64_t row_stride);

// Copies a block so that the elements of a row are neighbours.
using CopyTransposed = void (*)(const ColumnBlock& block, std::byte* target,
                                std::int64_t target_row_stride);

struct StripKernels {
    const char* name;
    bool (*supported)();
    // Null where m or n has no fast path.
    SolveStrip<float> (*float_solver)(Pattern pattern);
    SolveStrip<double> (*double_solver)(Pattern pattern);
    // Optimal masks in closed form; null unless m = 4. Floats come first unless `exactly`.
    MaskStrip<float> (*float_four_by_four)(Pattern pattern, bool exactly);
    MaskStrip<double> (*double_four_by_four)(Pattern pattern);
    // Null where there are no such shortcuts.
    MaskRun (*four_by_four_run)(Pattern pattern, Dtype dtype, Score score);
    MaskDown (*four_by_four_down)(Pattern pattern, Dtype dtype, Score score);
    // Row-wise masks; m up to kLargestStripM.
    MaskStrip<float> (*float_rowwise)(Pattern pattern);
    MaskStrip<double> (*double_rowwise)(Pattern pattern);
    // Null where the general loader is to be used.
    LoadStrip<float> (*float_loader)(Dtype dtype, Score score, int m);
    LoadStrip<double> (*double_loader)(Dtype dtype, Score score, int m);
    StoreStrip store;
    CopyTransposed (*transposing_copy)(int item_bytes);
};

// Plainest first.
std::vector<const StripKernels*> built_strip_kernels();

struct KernelChoice {
    const StripKernels* kernels;
    std::string error;  // empty unless TNM_FORCE_ISA names what cannot be used
};
const KernelChoice& choose_strip_kernels();

inline const StripKernels& strip_kernels() {
    return *choose_strip_kernels().kernels;
}

}  // namespace tnm
