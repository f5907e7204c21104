// A few elements moved by the bits of a word: those whose bit is set next to each other, or back.
//
// Elements move as they are, whatever they mean. A step takes as many as the instructions do.
#pragma once

#include "words/kernels/lane_tables-inl.hpp"

namespace tnm::TNM_ISA {

#if defined(__AVX2__)

inline __m128i eight_bytes(const void* source) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(source));
}
inline __m128i sixteen_bytes(const void* source) {
    return _mm_loadu_si128(static_cast<const __m128i*>(source));
}

template <int kItem>
struct Step;

template <>
struct Step<1> {
    static constexpr int kElements = 8;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm_storel_epi64(
            reinterpret_cast<__m128i*>(target),
            _mm_shuffle_epi8(eight_bytes(source), eight_bytes(kLaneTables.collect[bits])));
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm_storel_epi64(
            reinterpret_cast<__m128i*>(target),
            _mm_shuffle_epi8(eight_bytes(source), eight_bytes(kLaneTables.spread[bits])));
    }
};

template <>
struct Step<2> {
    static constexpr int kElements = 8;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target),
                         _mm_shuffle_epi8(sixteen_bytes(source),
                                          sixteen_bytes(kLaneTables.collect_pairs[bits])));
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(target),
            _mm_shuffle_epi8(sixteen_bytes(source), sixteen_bytes(kLaneTables.spread_pairs[bits])));
    }
};

#if defined(__AVX512F__)

template <>
struct Step<4> {
    static constexpr int kElements = 16;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm512_storeu_si512(target, _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits),
                                                                _mm512_loadu_si512(source)));
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm512_storeu_si512(target, _mm512_maskz_expand_epi32(static_cast<__mmask16>(bits),
                                                              _mm512_loadu_si512(source)));
    }
};

template <>
struct Step<8> {
    static constexpr int kElements = 8;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm512_storeu_si512(target, _mm512_maskz_compress_epi64(static_cast<__mmask8>(bits),
                                                                _mm512_loadu_si512(source)));
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        _mm512_storeu_si512(target, _mm512_maskz_expand_epi64(static_cast<__mmask8>(bits),
                                                              _mm512_loadu_si512(source)));
    }
};

#else

// Lanes of 32 bits, by a row of a table.
inline void move_lanes(const std::byte* source, const std::int8_t* table, std::byte* target) {
    const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
    const __m256i lanes = _mm256_cvtepi8_epi32(eight_bytes(table));
    // Of lanes -1 the highest bits are set: nothing comes there.
    const __m256i moved = _mm256_permutevar8x32_epi32(from, lanes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target),
                        _mm256_andnot_si256(_mm256_srai_epi32(lanes, 31), moved));
}

template <>
struct Step<4> {
    static constexpr int kElements = 8;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        move_lanes(source, kLaneTables.collect[bits], target);
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        move_lanes(source, kLaneTables.spread[bits], target);
    }
};

template <>
struct Step<8> {
    static constexpr int kElements = 4;
    static void collect(const std::byte* source, std::uint64_t bits, std::byte* target) {
        move_lanes(source, kLaneTables.collect_four[bits], target);
    }
    static void spread(const std::byte* source, std::uint64_t bits, std::byte* target) {
        move_lanes(source, kLaneTables.spread_four[bits], target);
    }
};

#endif
#endif

// One element after another, where there are no such instructions.
template <int kItem>
inline void collect_one_by_one(const std::byte* source, std::uint64_t word, std::byte* target) {
    for (; word != 0; word &= word - 1, target += kItem)
        std::memcpy(target, source + __builtin_ctzll(word) * kItem, kItem);
}

template <int kItem>
inline void spread_one_by_one(const std::byte* source, std::uint64_t word, std::byte* target) {
    std::memset(target, 0, 64 * kItem);
    for (; word != 0; word &= word - 1, source += kItem)
        std::memcpy(target + __builtin_ctzll(word) * kItem, source, kItem);
}

}  // namespace tnm::TNM_ISA
