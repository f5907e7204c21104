// Kept values to their lanes, and kept lanes next to each other.
#pragma once

#include "products/kernels/elements-inl.hpp"

namespace tnm::TNM_ISA {

#if defined(__AVX512F__)

// Lane j is the next value if bit j is set, else zero.
template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    return _mm512_maskz_expand_ps(static_cast<__mmask16>(bits), load_floats<kDtype>(values));
}

inline Floats keep(Floats row, std::uint64_t bits) {
    return _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), row);
}

#elif defined(__AVX2__)

// For each 8 bits: which lane comes where, -1 where none does.
struct LaneTables {
    std::int8_t expand[256][8];
    std::int8_t compress[256][8];
};

constexpr LaneTables make_lane_tables() {
    LaneTables tables{};
    for (int bits = 0; bits < 256; ++bits) {
        int kept = 0;
        for (int lane = 0; lane < 8; ++lane) {
            const bool is_kept = (bits >> lane & 1) != 0;
            tables.expand[bits][lane] = static_cast<std::int8_t>(is_kept ? kept : -1);
            if (is_kept) tables.compress[bits][kept++] = static_cast<std::int8_t>(lane);
        }
    }
    return tables;
}
alignas(64) inline constexpr LaneTables kLaneTables = make_lane_tables();

inline __m256i lanes_of(const std::int8_t (&table)[8]) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(table)));
}

template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    const __m256i lanes = lanes_of(kLaneTables.expand[bits]);
    const __m256 moved = _mm256_permutevar8x32_ps(load_floats<kDtype>(values), lanes);
    // The compiler would make two instructions of the intrinsic.
    const __m256 zero = _mm256_setzero_ps();
    __m256 kept;
    asm("vblendvps %3, %2, %1, %0" : "=x"(kept) : "x"(moved), "x"(zero), "x"(lanes));
    return kept;
}

inline Floats keep(Floats row, std::uint64_t bits) {
    return _mm256_permutevar8x32_ps(row, lanes_of(kLaneTables.compress[bits]));
}

#else

template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    const Floats next = load_floats<kDtype>(values);
    Floats lanes{};
    for (int lane = 0, kept = 0; lane < kFloats; ++lane)
        if (bits >> lane & 1) lanes[lane] = next[kept++];
    return lanes;
}

inline Floats keep(Floats row, std::uint64_t bits) {
    Floats lanes{};
    for (int lane = 0, kept = 0; lane < kFloats; ++lane)
        if (bits >> lane & 1) lanes[kept++] = row[lane];
    return lanes;
}

#endif

inline constexpr std::uint64_t kStepBits = (std::uint64_t{1} << kFloats) - 1;

// Elements move as they are, whatever they mean: lanes of 32 bits hold them.
template <int kItem>
inline Floats load_lanes(const std::byte* source) {
    if constexpr (kItem == 4) return load_floats<Dtype::float32>(source);
    Halves halves;
    std::memcpy(&halves, source, sizeof halves);
    return reinterpret_cast<Floats>(widen_halves(halves));
}

template <int kItem>
inline void store_lanes(std::byte* target, Floats lanes) {
    if constexpr (kItem == 4) {
        std::memcpy(target, &lanes, sizeof lanes);
    } else {
        const Halves halves = __builtin_convertvector(reinterpret_cast<Uint32s>(lanes), Halves);
        std::memcpy(target, &halves, sizeof halves);
    }
}

template <int kItem>
inline std::byte* compress_row(const std::byte* row, std::uint64_t word, std::byte* target) {
    for (int j = 0; j < kBlockColumns; j += kFloats) {
        const std::uint64_t bits = word >> j & kStepBits;
        store_lanes<kItem>(target, keep(load_lanes<kItem>(row + j * kItem), bits));
        target += __builtin_popcountll(bits) * kItem;
    }
    return target;
}

template <int kItem>
inline std::byte* compress_one_by_one(const std::byte* row, std::uint64_t word, std::byte* target) {
    for (; word != 0; word &= word - 1, target += kItem)
        std::memcpy(target, row + __builtin_ctzll(word) * kItem, kItem);
    return target;
}

// A step without a branch; without room for it, one element after another.
inline std::byte* compress(const std::byte* row, std::uint64_t word, std::int64_t item_size,
                           bool has_room, std::byte* target) {
    if (item_size == 4)
        return has_room ? compress_row<4>(row, word, target)
                        : compress_one_by_one<4>(row, word, target);
    return has_room ? compress_row<2>(row, word, target)
                    : compress_one_by_one<2>(row, word, target);
}

}  // namespace tnm::TNM_ISA
