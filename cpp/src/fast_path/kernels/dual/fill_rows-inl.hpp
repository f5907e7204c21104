// Rows of all tiles of a strip take tight entries, of the columns that need most.
//
// A column of the strip is a byte here. What a row takes in its field are the entries that rank
// highest by what their columns still need, of equal ones the lowest: each is compared with all
// others of its field, by turning the field around.
#pragma once

#include "fast_path/kernels/dual/threshold-inl.hpp"

namespace tnm::TNM_ISA {

// A rank needs the need of a column and its place, which have to fit into a byte together.
template <int kW>
inline constexpr bool kFillsRowsOfStrips = kW == 8 || kW == 16;

using SignedBytes = VectorOf<std::int8_t>::type;
using Uint64s = VectorOf<std::uint64_t>::type;

// Every field of kW bytes turned by kBy of them.
template <int kW, int kBy>
inline __attribute__((always_inline)) Uint64s turn_fields(Uint64s fields) {
    constexpr int kBits = kBy % 8 * 8;
    const Uint64s next = kW == 8 ? fields : swap_lanes<1>(fields);
    const Uint64s low = kBy < 8 ? fields : next, high = kBy < 8 ? next : fields;
    if constexpr (kBits == 0) return low;
    return low >> kBits | high << (64 - kBits);
}

// How many bytes of its field are larger than each byte.
template <int kW>
inline __attribute__((always_inline)) SignedBytes rank_in_fields(SignedBytes keys) {
    SignedBytes rank{};
    [&]<std::size_t... r>(std::index_sequence<r...>) __attribute__((always_inline)) {
        ((rank -= reinterpret_cast<SignedBytes>(turn_fields<kW, static_cast<int>(r) + 1>(
                      reinterpret_cast<Uint64s>(keys))) > keys),
         ...);
    }(std::make_index_sequence<kW - 1>{});
    return rank;
}

// For each column a byte, which is the count of its field.
template <int kW>
inline void spread_counts(std::uint64_t counts, std::uint64_t* bytes) {
    for (int c = 0; c < kStripColumns; c += 8)
        bytes[c / 8] = (counts >> (c / kW * kW) & 0xff) * 0x0101010101010101ULL;
}

// A byte for each bit, of which one bit is set if that is.
inline void spread_bits(std::uint64_t bits, std::uint64_t* bytes) {
    for (int c = 0; c < kStripColumns; c += 8)
        bytes[c / 8] = (bits >> c & 0xff) * 0x0101010101010101ULL & 0x8040201008040201ULL;
}

inline SignedBytes load_bytes(const std::uint64_t* words, int first) {
    return load<SignedBytes>(reinterpret_cast<const std::int8_t*>(words) + first);
}

// What columns of the given lanes need.
inline void column_needs(const ThresholdedStrip& strip, std::uint64_t lanes, int n,
                         std::int8_t* needs) {
    std::uint64_t wanted[kStripColumns / 8];
    spread_bits(lanes, wanted);
    for (int c = 0; c < kStripColumns; ++c) {
        const int need = n - strip.column_counts[c];
        needs[c] = static_cast<std::int8_t>(need > 0 ? need : 0);
    }
    for (int c = 0; c < kStripColumns; c += kLanes<SignedBytes>)
        store(needs + c, load<SignedBytes>(needs + c) & (load_bytes(wanted, c) != 0));
}

// Takes entries of one row, as bits; what their columns need is one less each.
template <int kW>
inline std::uint64_t fill_row(std::uint64_t tight, std::uint64_t row_counts, int n,
                              std::int8_t* needs) {
    alignas(64) std::uint64_t candidate_bytes[kStripColumns / 8], count_bytes[kStripColumns / 8];
    alignas(64) std::uint8_t places[kLanes<Bytes>];
    spread_bits(tight, candidate_bytes);
    spread_counts<kW>(row_counts, count_bytes);
    for (int k = 0; k < kLanes<Bytes>; ++k) places[k] = static_cast<std::uint8_t>(kW - 1 - k % kW);
    const Bytes place = load<Bytes>(places);
    std::uint64_t taken = 0;
    for (int c = 0; c < kStripColumns; c += kLanes<SignedBytes>) {
        const SignedBytes need = load<SignedBytes>(needs + c);
        const SignedBytes candidate = (load_bytes(candidate_bytes, c) != 0) & (need > 0);
        // From 0 to 255, less 128, because signed bytes are what is compared quickest.
        const Bytes key = reinterpret_cast<Bytes>(need) * static_cast<std::uint8_t>(kW) + place;
        const SignedBytes keys =
            reinterpret_cast<SignedBytes>(key & reinterpret_cast<Bytes>(candidate)) ^
            static_cast<std::int8_t>(-128);
        const SignedBytes wanted = static_cast<std::int8_t>(n) - load_bytes(count_bytes, c);
        const SignedBytes chosen = candidate & (rank_in_fields<kW>(keys) < wanted);
        store(needs + c, need + chosen);
        taken |= bits_of(chosen) << c;
    }
    return taken;
}

// Bit 0 of each field is set where a field's count is below n.
template <int kW>
inline std::uint64_t fields_below(std::uint64_t counts, int n) {
    const std::uint64_t missing = (std::uint64_t{1} << (kW - 1)) - static_cast<unsigned>(n);
    return ~((counts + field_units<kW>() * missing) >> (kW - 1)) & field_units<kW>();
}

// Fills rows one after another, and says what they took. Returns those of `tiles` where rows still
// need something.
template <int kW>
inline std::uint64_t fill_rows(std::uint64_t tiles, Pattern pattern, ThresholdedStrip& strip,
                               std::uint64_t* taken) {
    const int m = pattern.m, n = pattern.n;
    const std::uint64_t real = field_units<kW>() * (~std::uint64_t{0} >> (64 - m));
    const std::uint64_t lanes = lanes_of_tiles<kW>(tiles) & real;
    alignas(64) std::int8_t before[kStripColumns], needs[kStripColumns];
    column_needs(strip, lanes, n, before);
    std::memcpy(needs, before, sizeof needs);
    std::uint64_t unfilled = 0;
    for (int i = 0; i < m; ++i) {
        const std::uint64_t counts = field_counts<kW>(strip.kept[i]);
        taken[i] = fill_row<kW>(strip.undecided[i] & lanes, counts, n, needs);
        strip.kept[i] |= taken[i];
        unfilled |= fields_below<kW>(field_counts<kW>(strip.kept[i]), n);
    }
    for (int c = 0; c < kStripColumns; ++c)
        strip.column_counts[c] =
            static_cast<std::int16_t>(strip.column_counts[c] + before[c] - needs[c]);
    return any_in_field<kW>(unfilled) & tiles;
}

}  // namespace tnm::TNM_ISA
