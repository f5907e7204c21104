// 2:4 masks of 64 columns that are contiguous in memory, from top to bottom, straight from memory
// to memory.
//
// A vector holds the rows of several tiles, one above the other; the shuffles that split the
// columns of neighbouring tiles (columns-inl.hpp) split the rows of these just as well.
// Four columns of tiles at a time go down all rows, so that memory is read in few and long streams.
// Their flags, 16 bytes per row, wait in `space` until whole lines can be written.
#pragma once

#include "elements/by_element-inl.hpp"
#include "fast_path/kernels/four_by_four/run-inl.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kColumnsAtOnce = 16;
inline constexpr int kColumnGroups = kStripColumns / kColumnsAtOnce;

template <Dtype kDtype>
struct ColumnMajorStep {
    static constexpr bool kHalves = kIsHalf<kDtype>, kBytes = kDtypeBytes<kDtype> == 1;
    static constexpr int kRows = kLanes<Floats> * (kBytes ? 4 : kHalves ? 2 : 1);
    static_assert(kRowsOfMaskColumnMajor % kRows == 0);
    // Chunk q of vector i holds the flags of row kFlagVectors * q + i.
    static constexpr int kFlagVectors = kBytes ? 16 : kHalves ? 8 : 4;
    static int tile_row_of(int lane) {
        return kBytes ? lane : kHalves ? lane / 4 * 2 + lane % 2 : lane / 4;
    }
};

// The flags of a step, of four columns of tiles: vector i is kColumnGroups vectors after i - 1.
inline __attribute__((always_inline)) void put_flags(Int32s vector, int i, std::int32_t* flags) {
    store(flags + i * kColumnGroups * kLanes<Int32s>, vector);
}

// Returns the uncertain lanes.
template <Dtype kDtype, Score kScore, bool kTurned>
inline __attribute__((always_inline)) std::uint64_t step_of_words(const std::byte* data,
                                                                  std::int64_t column_stride,
                                                                  std::int32_t* flags) {
    const auto scores = [&](int c) __attribute__((always_inline)) {
        return score_of<kScore>(floats_at<kDtype>(data + c * column_stride));
    };
    Floats entry[4][4];
    for (int j = 0; j < 4; ++j) {
        Floats split[4];
        split_columns(scores(j), scores(4 + j), scores(8 + j), scores(12 + j), split);
        for (int i = 0; i < 4; ++i) entry[i][j] = split[i];
    }
    FourRows<Floats> rows;
    const std::uint64_t uncertain = decide_elements<2, kDtype, kScore, kTurned>(entry, rows);
    for (int i = 0; i < 4; ++i) put_flags(rows.row[i], i, flags);
    return uncertain;
}

// Two columns of tiles. Two 16-bit floats share 32 bits: the even row is shifted up, the odd one is
// there already.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) void load_rows_of_halves(const std::byte* data,
                                                               std::int64_t column_stride,
                                                               Floats (*entry)[4]) {
    constexpr auto kUpperHalf = static_cast<std::int32_t>(0xffff0000U);
    const auto words = [&](int c) __attribute__((always_inline)) {
        return load<Int32s>(reinterpret_cast<const std::int32_t*>(data + c * column_stride));
    };
    for (int j = 0; j < 4; ++j) {
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

template <Dtype kDtype, Score kScore, bool kTurned>
inline __attribute__((always_inline)) std::uint64_t step_of_halves(const std::byte* data,
                                                                   std::int64_t column_stride,
                                                                   std::int32_t* flags) {
    FourRows<Floats> rows[2];
    std::uint64_t uncertain = 0;
    for (int side = 0; side < 2; ++side) {
        Floats entry[4][4];
        load_rows_of_halves<kDtype, kScore>(data + 8 * side * column_stride, column_stride, entry);
        uncertain |= decide_elements<2, kDtype, kScore, kTurned>(entry, rows[side]);
    }
    for (int i = 0; i < 4; ++i) {
        const auto left = reinterpret_cast<Floats>(rows[0].row[i]);
        const auto right = reinterpret_cast<Floats>(rows[1].row[i]);
        put_flags(reinterpret_cast<Int32s>(join_alternate<0>(left, right)), i, flags);
        put_flags(reinterpret_cast<Int32s>(join_alternate<1>(left, right)), i + 4, flags);
    }
    return uncertain;
}

// Each lane of a column has the four rows of a tile.
template <Dtype kDtype, Score kScore, bool kTurned>
inline __attribute__((always_inline)) std::uint64_t step_of_bytes(const std::byte* data,
                                                                  std::int64_t column_stride,
                                                                  std::int32_t* flags) {
    FourRows<Floats> rows[4];
    std::uint64_t uncertain = 0;
    for (int tile = 0; tile < 4; ++tile) {
        Floats entry[4][4];
        for (int j = 0; j < 4; ++j) {
            const std::byte* column = data + (4 * tile + j) * column_stride;
            const auto words = load<Int32s>(reinterpret_cast<const std::int32_t*>(column));
            for (int i = 0; i < 4; ++i) entry[i][j] = score_of_byte<kDtype, kScore>(words, i);
        }
        uncertain |= decide_elements<2, kDtype, kScore, kTurned>(entry, rows[tile]);
    }
    for (int i = 0; i < 4; ++i) {
        Floats of_tiles[4], of_rows[4];
        for (int tile = 0; tile < 4; ++tile)
            of_tiles[tile] = reinterpret_cast<Floats>(rows[tile].row[i]);
        // A square of lanes is turned within every 128 bits.
        split_columns(of_tiles[0], of_tiles[1], of_tiles[2], of_tiles[3], of_rows);
        for (int k = 0; k < 4; ++k)
            put_flags(reinterpret_cast<Int32s>(of_rows[k]), 4 * k + i, flags);
    }
    return uncertain;
}

template <Dtype kDtype>
void mark_tile_rows(std::uint64_t lanes, std::uint8_t* marks) {
    for (; lanes != 0; lanes &= lanes - 1)
        marks[ColumnMajorStep<kDtype>::tile_row_of(__builtin_ctzll(lanes))] = 1;
}

// The flags of one step to memory, in whole rows.
template <Dtype kDtype>
inline void store_step(const std::int32_t* flags, std::uint8_t* mask,
                       std::int64_t mask_row_stride) {
    constexpr int kVectors = ColumnMajorStep<kDtype>::kFlagVectors;
    for (int i = 0; i < kVectors; ++i)
        for (int group = 0; group < kColumnGroups; group += kChunks) {
            Int32s line[kChunks];
            for (int k = 0; k < kChunks; ++k)
                line[k] = load<Int32s>(flags + (i * kColumnGroups + group + k) * kLanes<Int32s>);
            transpose_chunks(line);
            for (int q = 0; q < kChunks; ++q)
                store(reinterpret_cast<std::int32_t*>(mask + (q * kVectors + i) * mask_row_stride +
                                                      group * kColumnsAtOnce),
                      line[q]);
        }
}

template <Dtype kDtype, Score kScore, bool kTurned>
void mask_column_major_two_of_four(const ColumnBlock& block, std::uint8_t* mask,
                                   std::int64_t mask_row_stride, std::int32_t* space,
                                   std::uint8_t* uncertain) {
    using Step = ColumnMajorStep<kDtype>;
    constexpr int kCacheLine = 64, kBytesAhead = 512,
                  kStepBytes = Step::kRows * kDtypeBytes<kDtype>;
    constexpr int kFlagsOfStep = Step::kFlagVectors * kColumnGroups * kLanes<Int32s>;
    const int steps = block.rows / Step::kRows;
    for (int group = 0; group < kColumnGroups; ++group) {
        const std::byte* data = block.data + group * kColumnsAtOnce * block.column_stride;
        for (int step = 0; step < steps; ++step, data += kStepBytes) {
            if (step * kStepBytes % kCacheLine == 0)
                for (int c = 0; c < kColumnsAtOnce; ++c)
                    __builtin_prefetch(data + c * block.column_stride + kBytesAhead, 0, 2);
            std::int32_t* const target = space + step * kFlagsOfStep + group * kLanes<Int32s>;
            std::uint64_t lanes;
            if constexpr (Step::kBytes)
                lanes = step_of_bytes<kDtype, kScore, kTurned>(data, block.column_stride, target);
            else if constexpr (Step::kHalves)
                lanes = step_of_halves<kDtype, kScore, kTurned>(data, block.column_stride, target);
            else
                lanes = step_of_words<kDtype, kScore, kTurned>(data, block.column_stride, target);
            if (lanes != 0) mark_tile_rows<kDtype>(lanes, uncertain + step * Step::kRows / 4);
        }
    }
    for (int step = 0; step < steps; ++step)
        store_step<kDtype>(space + step * kFlagsOfStep, mask + step * Step::kRows * mask_row_stride,
                           mask_row_stride);
}

template <bool kTurned>
inline MaskColumnMajor mask_column_major(Dtype dtype, Score score) {
    return by_element<MaskColumnMajor>(
        dtype, score, []<Dtype kDtype, Score kScore>() -> MaskColumnMajor {
            if constexpr (kIsInteger<kDtype> && kDtypeBytes<kDtype> > 1)
                return nullptr;
            else
                return mask_column_major_two_of_four<kDtype, kScore, kTurned>;
        });
}

inline MaskColumnMajor four_by_four_column_major(Pattern pattern, Dtype dtype, Score score,
                                                 bool turned) {
    if (pattern.n != 2 || pattern.m != 4) return nullptr;
    return turned ? mask_column_major<true>(dtype, score) : mask_column_major<false>(dtype, score);
}

}  // namespace tnm::TNM_ISA
