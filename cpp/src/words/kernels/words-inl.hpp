// Bits of masks, and elements that move by them.
#pragma once

#include "words/kernels/step-inl.hpp"
#include "words/word_kernels.hpp"

namespace tnm::TNM_ISA {

using Words = VectorOf<std::uint64_t>::type;

inline std::uint64_t word_of_flags(const std::uint8_t* flags) {
    std::uint64_t word = 0;
#if defined(__AVX2__)
    for (int k = 0; k < 64; k += 32) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(flags + k));
        // The lowest bit of each byte to its highest.
        const int bits = _mm256_movemask_epi8(_mm256_slli_epi16(bytes, 7));
        word |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(bits)) << k;
    }
#else
    for (int k = 0; k < 64; k += 8) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, flags + k, sizeof bytes);
        // The product moves each flag to the highest byte.
        word |= (bytes & 0x0101010101010101U) * 0x0102040810204080U >> 56 << k;
    }
#endif
    return word;
}

inline void read_words(const std::uint8_t* flags, std::int64_t step, int count,
                       std::uint64_t* words) {
    for (int k = 0; k < count; ++k, flags += step) words[k] = word_of_flags(flags);
}

// Counts of fields of m bits, side by side, in a word or in each of a vector.
template <class Word>
inline Word counts_of_fields(Word word, int m) {
    // Every second bit, every second two bits, and so on.
    static constexpr std::uint64_t kLower[] = {0x5555555555555555U, 0x3333333333333333U,
                                               0x0f0f0f0f0f0f0f0fU, 0x00ff00ff00ff00ffU,
                                               0x0000ffff0000ffffU, 0x00000000ffffffffU};
    for (int shift = 1, k = 0; shift < m; shift *= 2, ++k)
        word = (word & kLower[k]) + (word >> shift & kLower[k]);
    return word;
}

inline int count_exact(const std::uint64_t* words, int count, Pattern pattern) {
    const auto [n, m] = pattern;
    int exact = 0;
    if ((m & (m - 1)) == 0) {
        std::uint64_t wanted = 0;
        for (int begin = 0; begin < 64; begin += m)
            wanted |= static_cast<std::uint64_t>(n) << begin;
        constexpr int kCount = kLanes<Words>;
        while (exact + kCount <= count &&
               all_set(counts_of_fields(load<Words>(words + exact), m) == wanted))
            exact += kCount;
        while (exact < count && counts_of_fields(words[exact], m) == wanted) ++exact;
        return exact;
    }
    const std::uint64_t field = (std::uint64_t{1} << m) - 1;
    for (; exact < count; ++exact)
        for (int begin = 0; begin + m <= 64; begin += m)
            if (__builtin_popcountll(words[exact] >> begin & field) != n) return exact;
    return exact;
}

template <int kItem>
inline std::byte* collect_word(const std::byte* source, std::uint64_t word, std::byte* target) {
#if defined(__AVX2__)
    if constexpr (kItem <= 8) {
        constexpr int kElements = Step<kItem>::kElements;
        for (int j = 0; j < 64; j += kElements) {
            const std::uint64_t bits = word >> j & ((1U << kElements) - 1);
            Step<kItem>::collect(source + j * kItem, bits, target);
            target += __builtin_popcountll(bits) * kItem;
        }
        return target;
    }
#endif
    collect_one_by_one<kItem>(source, word, target);
    return target + __builtin_popcountll(word) * kItem;
}

template <int kItem>
inline const std::byte* spread_word(const std::byte* source, std::uint64_t word,
                                    std::byte* target) {
#if defined(__AVX2__)
    if constexpr (kItem <= 8) {
        constexpr int kElements = Step<kItem>::kElements;
        for (int j = 0; j < 64; j += kElements) {
            const std::uint64_t bits = word >> j & ((1U << kElements) - 1);
            Step<kItem>::spread(source, bits, target + j * kItem);
            source += __builtin_popcountll(bits) * kItem;
        }
        return source;
    }
#endif
    spread_one_by_one<kItem>(source, word, target);
    return source + __builtin_popcountll(word) * kItem;
}

template <int kItem>
inline std::byte* collect(const std::byte* source, std::int64_t source_step,
                          const std::uint64_t* words, int count, std::byte* target,
                          std::int64_t target_step) {
    std::byte* end = target;
    for (int k = 0; k < count; ++k, source += source_step) {
        end = collect_word<kItem>(source, words[k], target);
        target = target_step == 0 ? end : target + target_step;
    }
    return end;
}

template <int kItem>
inline void spread(const std::byte* source, std::int64_t source_step, const std::uint64_t* words,
                   int count, std::byte* target, std::int64_t target_step) {
    for (int k = 0; k < count; ++k, target += target_step) {
        const std::byte* end = spread_word<kItem>(source, words[k], target);
        source = source_step == 0 ? end : source + source_step;
    }
}

template <int kItem>
constexpr ElementKernels kElementKernels = {.collect = collect<kItem>, .spread = spread<kItem>};

inline const ElementKernels& elements_of(int item) {
    switch (item) {
        case 1:
            return kElementKernels<1>;
        case 2:
            return kElementKernels<2>;
        case 4:
            return kElementKernels<4>;
        case 8:
            return kElementKernels<8>;
        default:
            return kElementKernels<16>;
    }
}

}  // namespace tnm::TNM_ISA
