#include <cstdio>
#include <tnm/build_info.hpp>
#include <tnm/compress.hpp>
#include <tnm/count.hpp>
#include <tnm/finite.hpp>
#include <tnm/rowwise.hpp>
#include <tnm/transposable.hpp>

int main() {
    // The anti-diagonal blocks are heavy: the only optimal 2:4 mask.
    const float values[16] = {1, 2, 9, 8, 2, 1, 8, 9, 9, 8, 1, 2, 8, 9, 2, 1};
    std::uint8_t flags[16] = {};
    tnm::ArrayView scores;
    scores.data = reinterpret_cast<const std::byte*>(values);
    scores.strides.rank = 2;
    scores.strides.shape = {4, 4};
    scores.strides.bytes = {16, 4};
    tnm::MaskView mask{flags, scores.strides};
    mask.strides.bytes = {4, 1};
    tnm::TransposableOptions options;
    options.pattern = {2, 4};
    if (tnm::transposable_mask(scores, mask, options, nullptr, {}) != tnm::Status::ok) return 1;
    for (int k = 0; k < 16; ++k)
        if (flags[k] != (values[k] > 5)) return 1;
    std::printf("tnm %s, %s\n", tnm::version(), tnm::compiler());
    return 0;
}
