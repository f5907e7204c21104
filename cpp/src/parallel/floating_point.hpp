// Arithmetic as the standard has it, whatever the process has asked the processor for: rounding to
// nearest, and denormal numbers that are numbers.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace tnm {

// Held by every thread of a call for as long as it works; puts back what it found.
class StandardFloatingPoint {
  public:
    StandardFloatingPoint() : found_(read()) { write(kStandard | (found_ & kFlags)); }
    ~StandardFloatingPoint() { write(found_); }
    StandardFloatingPoint(const StandardFloatingPoint&) = delete;
    StandardFloatingPoint& operator=(const StandardFloatingPoint&) = delete;

  private:
#if defined(__SSE2__)
    // All exceptions masked; those that were raised before stay so.
    static constexpr std::uint64_t kStandard = 0x1f80, kFlags = 0x3f;
    static std::uint64_t read() { return _mm_getcsr(); }
    static void write(std::uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#elif defined(__aarch64__)
    static constexpr std::uint64_t kStandard = 0, kFlags = 0;
    static std::uint64_t read() {
        std::uint64_t state;
        asm volatile("mrs %0, fpcr" : "=r"(state));
        return state;
    }
    static void write(std::uint64_t state) { asm volatile("msr fpcr, %0" : : "r"(state)); }
#else
    static constexpr std::uint64_t kStandard = 0, kFlags = 0;
    static std::uint64_t read() { return 0; }
    static void write(std::uint64_t) {}
#endif

    const std::uint64_t found_;
};

}  // namespace tnm
