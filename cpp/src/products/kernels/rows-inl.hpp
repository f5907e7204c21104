// A row of the matrix at a time: its sums stay in registers over a block of columns.
#pragma once

#include "products/kernels/elements-inl.hpp"

namespace tnm::TNM_ISA {

inline Floats load_value(const float* values) {
    float value = 0.0F;
    std::memcpy(&value, values, sizeof value);
    return broadcast(value);
}

template <int kVectors>
inline __attribute__((always_inline)) void add_column(const float* tokens, Floats weight,
                                                      Floats (&sums)[kVectors]) {
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[v] += weight * load<Floats>(tokens + v * kFloats);
    });
}

// What is left of a row of a block.
struct KeptColumns {
    std::uint64_t word;
    const float* values;
};

// The column of the lowest bit, which is taken away; 64 if there is none.
inline std::size_t take_column(std::uint64_t& word) {
    const std::size_t column = word == 0 ? 64 : static_cast<std::size_t>(__builtin_ctzll(word));
    word &= word - 1;
    return column;
}

// Four values, repeated in every 128 bits.
inline Floats repeat_four(const float* values) {
#if defined(__AVX512F__)
    return _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(values));
#elif defined(__AVX2__)
    return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(values));
#else
    return load<Floats>(values);
#endif
}

// One of them in all lanes.
template <int kValue>
inline __attribute__((always_inline)) Floats spread(Floats four) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(four, four, (l / 4 * 4 + kValue)...);
    }(std::make_index_sequence<kFloats>{});
}

// The sums of a few vectors alone would wait for each other: columns take turns.
constexpr int turns_of(int vectors) {
    return vectors <= 2 ? 4 : vectors <= 5 ? 2 : 1;
}
template <int kVectors>
using RowSums = Floats[turns_of(kVectors)][kVectors];

// Many vectors keep the units for loads busy: one load for four values relieves them.
template <int kVectors>
inline __attribute__((always_inline)) void add_four(KeptColumns& kept, const float* panel,
                                                    RowSums<kVectors>& sums) {
    constexpr int kTurns = turns_of(kVectors);
    const Floats four = kTurns == 1 ? repeat_four(kept.values) : Floats{};
    each<4>([&]<int k>() __attribute__((always_inline)) {
        const Floats weight = kTurns == 1 ? spread<k>(four) : load_value(kept.values + k);
        const auto column = static_cast<std::size_t>(__builtin_ctzll(kept.word));
        kept.word &= kept.word - 1;
        add_column(panel + column * (kVectors * kFloats), weight, sums[k % kTurns]);
    });
    kept.values += 4;
}

// One to three that are left, and zeros with the column of zeros behind the panel: how many there
// are can't be foreseen where a mask is irregular, and a wrong guess costs more than this.
template <int kVectors>
inline __attribute__((always_inline)) void add_rest(KeptColumns& kept, int left, const float* panel,
                                                    RowSums<kVectors>& sums) {
    each<3>([&]<int k>() __attribute__((always_inline)) {
        const Floats weight = k < left ? load_value(kept.values + k) : Floats{};
        const std::size_t column = take_column(kept.word);
        add_column(panel + column * (kVectors * kFloats), weight, sums[k % turns_of(kVectors)]);
    });
    kept.values += left;
}

template <int kVectors>
inline const float* add_row(std::uint64_t word, const float* values, const float* panel,
                            float* target) {
    RowSums<kVectors> sums = {};
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[0][v] = load<Floats>(target + v * kFloats);
    });
    KeptColumns kept{word, values};
    const int count = __builtin_popcountll(word);
    for (int fours = count / 4; fours > 0; --fours) add_four(kept, panel, sums);
    if (count % 4 != 0) add_rest(kept, count % 4, panel, sums);
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        Floats total = sums[0][v];
        for (int turn = 1; turn < turns_of(kVectors); ++turn) total += sums[turn][v];
        store(target + v * kFloats, total);
    });
    return kept.values;
}

template <int kVectors>
inline void multiply_rows(const PackedWindow& window, const float* values, const float* panel,
                          float* sums) {
    for (std::int64_t row = 0; row < window.rows; ++row, sums += kVectors * kFloats) {
        std::uint64_t word = 0;
        std::memcpy(&word, window.words + row * 8, 8);
        values = add_row<kVectors>(word, values, panel, sums);
    }
}

}  // namespace tnm::TNM_ISA
