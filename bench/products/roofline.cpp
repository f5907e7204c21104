// The most multiplications and additions that one thread can do, with operands in registers.
#include <cstdint>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int bytes = 64;
#elif defined(__AVX__)
constexpr int bytes = 32;
#else
constexpr int bytes = 16;
#endif
using Vector [[gnu::vector_size(bytes)]] = float;

// Enough sums to hide the latency of a multiply-add; few enough for 16 registers.
constexpr int chains = 12;

// Every sum begins with a value of its own, or the compiler would compute one for all.
template <class Sum>
void begin(Sum* sums, float start) {
    for (int chain = 0; chain < chains; ++chain)
        sums[chain] = Sum{} + start * static_cast<float>(chain);
}

template <class Sum>
float add_up(const Sum* sums) {
    float total = 0;
    for (int chain = 0; chain < chains; ++chain) total += sums[chain][0];
    return total;
}

}  // namespace

// Returns the number of operations; `sink` keeps the compiler from leaving them out.
extern "C" double float_operations(std::int64_t rounds, float* sink) {
    Vector sums[chains];
    begin(sums, *sink);
    const Vector factor = Vector{} + 0.5f;
    const Vector term = Vector{} + *sink;
    for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (int chain = 0; chain < chains; ++chain) sums[chain] = sums[chain] * factor + term;
    }
    *sink = add_up(sums);
    return 2.0 * static_cast<double>(rounds) * chains * (bytes / sizeof(float));
}

#ifdef __AVX512BF16__
extern "C" double bfloat16_operations(std::int64_t rounds, float* sink) {
    __m512 sums[chains];
    begin(sums, *sink);
    const __m512bh left = (__m512bh)_mm512_set1_ps(*sink);
    const __m512bh right = (__m512bh)_mm512_set1_ps(0.5f);
    for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (int chain = 0; chain < chains; ++chain)
            sums[chain] = _mm512_dpbf16_ps(sums[chain], left, right);
    }
    *sink = add_up(sums);
    return 2.0 * static_cast<double>(rounds) * chains * 32;
}
#endif
