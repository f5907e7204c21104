// Passes over memory that no mask solver can beat: what the machine itself allows.
#include <cmath>
#include <cstdint>

// Independent partial sums, so that the additions do not wait for one another.
extern "C" double abs_sum(const float* values, std::int64_t count) {
    constexpr int lanes = 64;
    float sums[lanes] = {};
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += std::fabs(values[i + lane]);
    double total = 0;
    for (int lane = 0; lane < lanes; ++lane) total += sums[lane];
    for (; i < count; ++i) total += std::fabs(values[i]);
    return total;
}

// Reads float32 and writes a byte of 0 or 1: the traffic of a mask without any search.
extern "C" void threshold(const float* values, std::int64_t count, float limit,
                          std::uint8_t* mask) {
    for (std::int64_t i = 0; i < count; ++i) mask[i] = std::fabs(values[i]) > limit;
}
