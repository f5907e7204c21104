// Portable vectors: the compiler's vector extension, lowered to whatever the target has.
#pragma once

#include <cstdint>
#include <cstring>

namespace tnm {

inline constexpr int kInt16Lanes = 8;
using Int16Vector = std::int16_t __attribute__((vector_size(2 * kInt16Lanes)));

inline Int16Vector splat(std::int16_t value) {
    return Int16Vector{} + value;
}

inline Int16Vector load(const std::int16_t* source) {
    Int16Vector vector;
    std::memcpy(&vector, source, sizeof vector);
    return vector;
}

inline void store(std::int16_t* target, Int16Vector vector) {
    std::memcpy(target, &vector, sizeof vector);
}

// `mask` holds 0 or -1 in each lane, as comparisons give it.
inline Int16Vector select(Int16Vector mask, Int16Vector if_set, Int16Vector if_clear) {
    return (mask & if_set) | (~mask & if_clear);
}

inline Int16Vector minimum(Int16Vector a, Int16Vector b) {
    return a < b ? a : b;
}
inline Int16Vector maximum(Int16Vector a, Int16Vector b) {
    return a > b ? a : b;
}

inline Int16Vector clamp(Int16Vector vector, std::int16_t bound) {
    return minimum(maximum(vector, splat(static_cast<std::int16_t>(-bound))), splat(bound));
}

// Rounded down; unlike (a + b) / 2 it cannot overflow.
inline Int16Vector midpoint(Int16Vector a, Int16Vector b) {
    return (a & b) + ((a ^ b) >> 1);
}

inline bool all_set(Int16Vector mask) {
    std::uint64_t words[sizeof(Int16Vector) / sizeof(std::uint64_t)];
    std::memcpy(words, &mask, sizeof mask);
    std::uint64_t common = ~std::uint64_t{0};
    for (const std::uint64_t word : words) common &= word;
    return common == ~std::uint64_t{0};
}

inline constexpr int kDoubleLanes = 2;
using DoubleVector = double __attribute__((vector_size(8 * kDoubleLanes)));
using DoubleMask = std::int64_t __attribute__((vector_size(8 * kDoubleLanes)));

inline DoubleVector splat_double(double value) {
    return DoubleVector{} + value;
}

inline DoubleVector load(const double* source) {
    DoubleVector vector;
    std::memcpy(&vector, source, sizeof vector);
    return vector;
}

inline DoubleVector minimum(DoubleVector a, DoubleVector b) {
    return a < b ? a : b;
}

inline bool any_set(DoubleMask mask) {
    return (mask[0] | mask[1]) != 0;
}

}  // namespace tnm
