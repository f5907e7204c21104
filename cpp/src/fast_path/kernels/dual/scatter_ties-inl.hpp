// Ties of scores on a lattice, such as small integers, broken by numbers between its points.
//
// A tile of multiples of L is solved with something from 0 to L / 2m added to each score, the same
// for each place of every tile, so that hardly any tie is left. Two masks differ by cycles of at
// most m kept and m dropped entries, so that what was added is never worth a step of the lattice:
// the best mask of the new scores is one of the best of the old.
#pragma once

#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"

namespace tnm::TNM_ISA {

// Fewer numbers than this to choose from would leave too many ties.
inline constexpr int kLeastScatter = 8;

// How many numbers there are to choose from, a power of two, with prices of these bits.
template <int kW>
inline int scatter_range(std::int16_t price_bits) {
    return price_bits == 0 ? (1 << kFractionBits) / (2 * kW) : -price_bits / (2 * kW);
}

// Larger tiles would miss too many units: most of what their prices come from is a lattice still.
template <int kW>
inline constexpr bool kScattersTies = kW == 8;

// Judged by the first row of each tile.
template <int kW>
inline bool may_be_on_lattice(const QuantizedStrip& strip) {
    for (int first = 0; first < kStripColumns; first += kW) {
        int bits = 0;
        for (int j = 0; j < kW; ++j) bits |= strip.by_row[first + j];
        if ((bits & (2 * kW * kLeastScatter - 1)) == 0) return true;
    }
    return false;
}

inline bool is_constant(const std::int16_t* by_row, int m) {
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j)
            if (by_row[i * kStripColumns + j] != by_row[0]) return false;
    return true;
}

// Tiles on a lattice that is coarse enough. Constant ones are promised a certain mask.
template <int kW>
inline std::uint64_t scatterable_tiles(const QuantizedStrip& strip, const std::int16_t* price_bits,
                                       int m) {
    std::uint64_t tiles = 0;
    for (int first = 0; first < kStripColumns; first += kW)
        if (scatter_range<kW>(price_bits[first]) >= kLeastScatter &&
            !is_constant(strip.by_row + first, m))
            tiles |= std::uint64_t{1} << (first / kW);
    return tiles;
}

// Adds to the integers of the given lanes, all of scatterable tiles; `scattered` are `scores` with
// the same added.
template <int kW, class T>
inline void scatter(const T* scores, const std::int16_t* price_bits, std::uint64_t lanes,
                    QuantizedStrip& strip, T* scattered) {
    alignas(64) std::uint16_t used_bits[kStripColumns];
    alignas(64) T units[kStripColumns];
    for (int c = 0; c < kStripColumns; ++c) {
        used_bits[c] = static_cast<std::uint16_t>(
            (lanes >> c & 1) != 0 ? scatter_range<kW>(price_bits[c]) - 1 : 0);
        units[c] = static_cast<T>(strip.unit[c]);
    }
    for (int i = 0; i < kW; ++i)
        for (int c = 0; c < kStripColumns; ++c) {
            auto hash = static_cast<std::uint16_t>((i * kW + c % kW + 1) * 40503);
            hash = static_cast<std::uint16_t>((hash ^ hash >> 7) * 27655U);
            const int added = (hash ^ hash >> 8) & used_bits[c], at = i * kStripColumns + c;
            strip.by_row[at] = static_cast<std::int16_t>(strip.by_row[at] + added);
            scattered[at] = scores[at] + static_cast<T>(added) * units[c];
        }
}

// Turns prices that prove a mask of the scattered scores, integers times `unit`, into such as prove
// it of the scores themselves. With those of columns negated, all are rounded down to one class of
// numbers modulo the lattice, at the upper end of the widest gap between them, which is wider than
// anything that was added: so no order between sums of prices and scores is reversed.
template <int kW>
inline void gather_prices(int m, std::int16_t price_bits, double unit, double* rows,
                          double* columns) {
    const int lattice = price_bits == 0 ? 1 << kFractionBits : -price_bits;
    // What is repeated beyond m widens no gap. Gaps are one less here, so that what there is
    // between equal prices counts as the whole lattice.
    int price[2 * kW];
    std::uint16_t residue[2 * kW], gap[2 * kW];
    const auto most = static_cast<std::uint16_t>(lattice - 1);
    for (int k = 0; k < kW; ++k) {
        price[k] = static_cast<int>(rows[k < m ? k : 0] / unit);
        price[kW + k] = -static_cast<int>(columns[k < m ? k : 0] / unit);
    }
    for (int k = 0; k < 2 * kW; ++k) {
        residue[k] = static_cast<std::uint16_t>(price[k]);
        gap[k] = most;
    }
    for (const std::uint16_t other : residue)
        for (int k = 0; k < 2 * kW; ++k) {
            const auto below = static_cast<std::uint16_t>((residue[k] - other - 1) & most);
            gap[k] = below < gap[k] ? below : gap[k];
        }
    int widest = 0;
    for (int k = 1; k < 2 * kW; ++k) widest = gap[k] > gap[widest] ? k : widest;
    const int class_start = price[widest];
    for (int k = 0; k < m; ++k) {
        rows[k] = ((price[k] - class_start) & -lattice) * unit;
        columns[k] = -((price[kW + k] - class_start) & -lattice) * unit;
    }
}

}  // namespace tnm::TNM_ISA
