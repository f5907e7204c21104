// Matrices of 4 x 4 tiles in memory, and what the closed form that reads and writes memory may
// refuse.
#pragma once

#include "fast_path/kernels/strips.hpp"
#include "reference/fast_path/four_by_four.hpp"
#include "support/array.hpp"

namespace tnm::test {

inline constexpr std::array kClosedFormDtypes = {Dtype::float16, Dtype::bfloat16, Dtype::float32,
                                                 Dtype::float64};
inline constexpr std::array kScores = {Score::abs, Score::square, Score::identity};

// The sum of a tile's magnitudes beyond which not every score is known to be finite.
inline double total_of_infinity(Dtype dtype, Score score) {
    if (dtype != Dtype::float16) return std::ldexp(1.0, 128);
    return std::ldexp(1.0, score == Score::square ? 32 : 16);
}

inline bool keeps_zeros_alone(const Tile& tile) {
    const Flags kept = naive::four_by_four(tile).kept;
    for (std::size_t k = 0; k < kept.size(); ++k)
        if (kept[k] && tile.scores[k] != 0.0) return false;
    return true;
}

// Whether a tile may be left to another road: it is huge or not finite, or two choices for it or
// for a pair of its rows are as good up to the rounding of floats, where that is another's to
// decide.
inline bool may_be_refused(const Tile& tile, Dtype dtype, Score score) {
    long double sum = 0.0L;
    for (const double entry : tile.scores) sum += std::fabs(static_cast<long double>(entry));
    if (!(sum < total_of_infinity(dtype, score) * (1 - 0x1p-20L))) return true;
    const bool rounds = !is_integer(dtype) && dtype != Dtype::float16 &&
                        (dtype == Dtype::float64 || score == Score::square);
    if (rounds && sum < 0x1p-99L) return true;
    const bool has_signs = score == Score::identity;
    if (has_signs && is_integer(dtype) && item_size(dtype) <= 2)
        return sum > 0.0L && keeps_zeros_alone(tile);
    const bool may_tie = is_integer(dtype) ? has_signs || sum >= 0x1p23L : has_signs || rounds;
    return may_tie && naive::four_by_four(tile).closest <= sum * 0x1p-18L;
}

// Mask bytes with others between the rows.
struct MaskBytes {
    std::int64_t row_stride;
    std::vector<std::uint8_t> bytes;

    MaskBytes(int rows, int columns)
        : row_stride(columns + 5), bytes(static_cast<std::size_t>(rows * row_stride), 7) {}

    Flags tile(int row, int column) const {
        Flags flags;
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                flags.push_back(
                    bytes[static_cast<std::size_t>((row + i) * row_stride + column + j)]);
        return flags;
    }
    bool gaps_are_untouched(int columns) const {
        for (std::size_t k = 0; k < bytes.size(); ++k)
            if (static_cast<std::int64_t>(k) % row_stride >= columns && bytes[k] != 7) return false;
        return true;
    }
};

// Scores or flags of a 4 x 4 tile whose rows and columns change places.
template <class Entries>
Entries turned(const Entries& entries) {
    Entries result;
    for (std::size_t k = 0; k < 16; ++k) result.push_back(entries[k % 4 * 4 + k / 4]);
    return result;
}

// Checks the mask of a tile as it lies in memory, or of the tile that lies turned there.
inline void check_tile(const Tile& in_memory, const Flags& flags, bool is_turned = false) {
    Tile tile = in_memory;
    if (is_turned) tile.scores = turned(in_memory.scores);
    const Flags kept = is_turned ? turned(flags) : flags;
    const Given given([&] { return tile.description(); });
    const naive::BestOfFour best = naive::four_by_four(tile);
    TNM_CHECK(obeys_pattern(tile, kept));
    // Sums are exact in a double unless scores are many decades apart.
    if (as_integers(tile)) return TNM_CHECK(kept == best.kept);
    const long double most = total(tile, best.kept);
    TNM_CHECK(total(tile, kept) >= most - std::fabs(most) * 0x1p-40L);
}

}  // namespace tnm::test
