// From positions in groups to words of bits.
#pragma once

#include "simd/vectors-inl.hpp"
#include "words/kernels/words-inl.hpp"
#include "words/word_kernels.hpp"

namespace tnm::TNM_ISA {

// As many neighbouring bytes as a vector has words.
inline Words words_of_bytes(const std::uint8_t* bytes) {
#if defined(__AVX512F__)
    return reinterpret_cast<Words>(
        _mm512_maskz_cvtepu8_epi64(0xff, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
#elif defined(__AVX2__)
    std::int32_t four;
    std::memcpy(&four, bytes, sizeof four);
    return reinterpret_cast<Words>(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four)));
#else
    return [&]<std::size_t... l>(std::index_sequence<l...>) {
        return Words{std::uint64_t{bytes[l]}...};
    }(std::make_index_sequence<kLanes<Words> >{});
#endif
}

// Numbers of 64 or more set no bit.
inline std::uint64_t word_of_numbers(const std::uint8_t* numbers, int count) {
    Words found{};
    for (int k = 0; k < count; k += kLanes<Words>) {
        const Words bits = words_of_bytes(numbers + k);
        const Words set = splat<Words>(std::uint64_t{1}) << (bits & 63);
        found |= bits < kWordBits ? set : Words{};
    }
    std::uint64_t word = 0;
    for (int l = 0; l < kLanes<Words>; ++l) word |= found[l];
    return word;
}

// That each number is below the next says that all ascend: those of a group are below those of the
// group after. Another thread may write to the positions meanwhile; whatever it writes, each is
// read as some bit of the word.
inline int read_positions(const std::uint8_t* positions, std::int64_t step,
                          const PositionBits& bits, Pattern pattern, int count,
                          std::uint64_t* words) {
    const auto m = splat<Bytes>(static_cast<std::uint8_t>(pattern.m));
    const int of_word = kWordBits / pattern.m * pattern.n;
    for (int k = 0; k < count; ++k, positions += step) {
        alignas(64) std::uint8_t numbers[kWordBits];
        Bytes wrong{};
        for (int c = 0; c < kWordBits; c += kVectorBytes) {
            const auto positions_at = [&](int first) __attribute__((always_inline)) {
                return load<Bytes>(positions + first) & load<Bytes>(bits.used + first);
            };
            const Bytes position = positions_at(c);
            const Bytes number = load<Bytes>(bits.first + c) + position;
            const Bytes next = load<Bytes>(bits.first + c + 1) + positions_at(c + 1);
            wrong |= reinterpret_cast<Bytes>((position >= m) | (number >= next));
            store(numbers + c, number);
        }
        if (bits_of(reinterpret_cast<Int32s>(wrong) != 0) != 0) return k;
        words[k] = word_of_numbers(numbers, of_word);
    }
    return count;
}

}  // namespace tnm::TNM_ISA
