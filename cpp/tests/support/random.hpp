// Random numbers that are the same on every platform.
#pragma once

#include <cmath>
#include <cstdint>

namespace tnm::test {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    // SplitMix64 (Steele, Lea and Flood 2014).
    std::uint64_t bits() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    // In [0, 1).
    double uniform() { return std::ldexp(static_cast<double>(bits() >> 11), -53); }
    // In [low, high].
    int between(int low, int high) {
        return low + static_cast<int>(bits() % static_cast<std::uint64_t>(high - low + 1));
    }
    // Standard normal by Irwin and Hall: no library function whose last bit varies.
    double normal() {
        double sum = -6.0;
        for (int k = 0; k < 12; ++k) sum += uniform();
        return sum;
    }

  private:
    std::uint64_t state_;
};

}  // namespace tnm::test
