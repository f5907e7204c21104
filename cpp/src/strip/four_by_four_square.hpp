// 2:4 masks of squares whose columns are contiguous in memory, straight from memory to memory.
//
// A vector holds the rows of several tiles, one above the other; the shuffles that split the
// columns of neighbouring tiles (four_by_four_columns.hpp) split the rows of these just as well.
// What comes out lies as in the mask's memory, 16 bytes at a time.
#pragma once

#include "strip/four_by_four_run.hpp"

namespace tnm::TNM_ISA {

// The flags of a square on their way to memory, which takes whole lines.
struct alignas(64) SquareFlags {
    std::uint8_t row[kStripColumns][kStripColumns];
};

inline constexpr int kColumnsAtOnce = 16;  // four tiles side by side

// Every 128 bits of `flags` to the next tile below.
inline __attribute__((always_inline)) void store_tile_rows(Int32s flags, int first_row,
                                                           int rows_apart, int column,
                                                           SquareFlags& square) {
    alignas(kVectorBytes) std::int32_t lanes[kLanes<Int32s>];
    store(lanes, flags);
    for (int lane = 0; lane < kLanes<Int32s>; lane += 4)
        std::memcpy(&square.row[first_row + lane / 4 * rows_apart][column], lanes + lane, 16);
}

// As many rows as a vector has lanes.
template <Score kScore>
inline __attribute__((always_inline)) Int32s mask_floats(const std::byte* data,
                                                         std::int64_t column_stride, int row,
                                                         int column, SquareFlags& square) {
    const auto scores = [&](int c) __attribute__((always_inline)) {
        const std::byte* source = data + (column + c) * column_stride + row * 4;
        return reinterpret_cast<Floats>(
            score_bits<kScore>(load<Int32s>(reinterpret_cast<const std::int32_t*>(source))));
    };
    Floats entry[4][4];
    for (int j = 0; j < 4; ++j) {
        Floats split[4];
        split_columns(scores(j), scores(4 + j), scores(8 + j), scores(12 + j), split);
        for (int i = 0; i < 4; ++i) entry[i][j] = split[i];
    }
    Int32s doubtful;
    const FourRows<Floats> rows =
        two_of_four_floats<kScore>(entry, kTotalOfInfinity<Dtype::float32>, &doubtful);
    for (int i = 0; i < 4; ++i) store_tile_rows(rows.row[i], row + i, 4, column, square);
    return doubtful;
}

// Entries of tiles two side by side. Two 16-bit floats share 32 bits: the even row is shifted up,
// the odd one is there already.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) void load_halves(const std::byte* data,
                                                       std::int64_t column_stride,
                                                       Floats (*entry)[4]) {
    constexpr auto kUpperHalf = static_cast<std::int32_t>(0xffff0000U);
    for (int j = 0; j < 4; ++j) {
        const auto words = [&](int c) __attribute__((always_inline)) {
            return load<Int32s>(
                reinterpret_cast<const std::int32_t*>(data + c * column_stride));
        };
        const Int32s left = words(j), right = words(4 + j);
        const Floats even_left = score_of_half<kDtype, kScore>(left << 16);
        const Floats even_right = score_of_half<kDtype, kScore>(right << 16);
        const Floats odd_left = score_of_half<kDtype, kScore>(left & kUpperHalf);
        const Floats odd_right = score_of_half<kDtype, kScore>(right & kUpperHalf);
        entry[0][j] = join_alternate<0>(even_left, even_right);
        entry[1][j] = join_alternate<0>(odd_left, odd_right);
        entry[2][j] = join_alternate<1>(even_left, even_right);
        entry[3][j] = join_alternate<1>(odd_left, odd_right);
    }
}

// Twice as many rows as a vector has lanes.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) Int32s mask_halves(const std::byte* data,
                                                         std::int64_t column_stride, int row,
                                                         int column, SquareFlags& square) {
    FourRows<Floats> rows[2];
    Int32s doubtful{};
    for (int side = 0; side < 2; ++side) {
        Floats entry[4][4];
        load_halves<kDtype, kScore>(data + (column + 8 * side) * column_stride + row * 2,
                                    column_stride, entry);
        Int32s unsure;
        rows[side] = two_of_four_floats<kScore>(entry, kTotalOfInfinity<kDtype>, &unsure);
        doubtful |= unsure;
    }
    for (int i = 0; i < 4; ++i) {
        const auto left = reinterpret_cast<Floats>(rows[0].row[i]);
        const auto right = reinterpret_cast<Floats>(rows[1].row[i]);
        store_tile_rows(reinterpret_cast<Int32s>(join_alternate<0>(left, right)), row + i, 8,
                        column, square);
        store_tile_rows(reinterpret_cast<Int32s>(join_alternate<1>(left, right)), row + i + 4, 8,
                        column, square);
    }
    return doubtful;
}

// Asks for the same rows of the next columns.
inline void prefetch_columns(const std::byte* data, std::int64_t column_stride, int bytes) {
    for (int c = 0; c < kColumnsAtOnce; ++c)
        for (int offset = 0; offset < bytes; offset += 64)
            __builtin_prefetch(data + c * column_stride + offset, 0, 2);
}

template <Dtype kDtype, Score kScore>
bool mask_square_two_of_four(const std::byte* data, std::int64_t column_stride,
                             std::uint8_t* mask, std::int64_t mask_row_stride) {
    constexpr bool kHalves = kDtype != Dtype::float32;
    constexpr int kItemBytes = kHalves ? 2 : 4;
    constexpr int kRowsAtOnce = kVectorBytes / kItemBytes;
    SquareFlags square;
    Int32s doubtful{};
    for (int column = 0; column < kStripColumns; column += kColumnsAtOnce) {
        const bool last = column + kColumnsAtOnce == kStripColumns;
        prefetch_columns(last ? data + kStripColumns * kItemBytes
                              : data + (column + kColumnsAtOnce) * column_stride,
                         column_stride, kStripColumns * kItemBytes);
        for (int row = 0; row < kStripColumns; row += kRowsAtOnce) {
            if constexpr (kHalves)
                doubtful |= mask_halves<kDtype, kScore>(data, column_stride, row, column, square);
            else
                doubtful |= mask_floats<kScore>(data, column_stride, row, column, square);
        }
    }
    if (bits_of(doubtful) != 0) return false;
    for (int row = 0; row < kStripColumns; ++row)
        std::memcpy(mask + row * mask_row_stride, square.row[row], kStripColumns);
    return true;
}

template <Dtype kDtype>
inline MaskSquare square_of(Score score) {
    if (score == Score::abs) return mask_square_two_of_four<kDtype, Score::abs>;
    if (score == Score::identity) return mask_square_two_of_four<kDtype, Score::identity>;
    return nullptr;
}

inline MaskSquare four_by_four_square(Pattern pattern, Dtype dtype, Score score) {
    if (pattern.n != 2 || pattern.m != 4) return nullptr;
    switch (dtype) {
        case Dtype::float16:
            return square_of<Dtype::float16>(score);
        case Dtype::bfloat16:
            return square_of<Dtype::bfloat16>(score);
        case Dtype::float32:
            return square_of<Dtype::float32>(score);
        default:
            return nullptr;
    }
}

}  // namespace tnm::TNM_ISA
