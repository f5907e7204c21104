#include "support/values.hpp"

#include <cmath>
#include <limits>

namespace tnm::test {
namespace {

// What counts as one, as tiny and as huge for a type.
struct Range {
    double unit, tiny, huge;
};

Range range_of(Dtype dtype) {
    switch (dtype) {
        case Dtype::boolean:
            return {1.0, 1.0, 1.0};
        case Dtype::int8:
        case Dtype::uint8:
            return {20.0, 1.0, 127.0};
        case Dtype::int16:
        case Dtype::uint16:
            return {5000.0, 1.0, 32767.0};
        case Dtype::int32:
        case Dtype::uint32:
            return {1e8, 1.0, 2147483647.0};
        case Dtype::int64:
        case Dtype::uint64:
            return {1e18, 1.0, 9223372036854775807.0};
        case Dtype::float16:
            return {1.0, std::ldexp(1.0, -24), 65504.0};
        case Dtype::bfloat16:
            return {1.0, std::ldexp(1.0, -133), std::ldexp(255.0, 120)};
        case Dtype::float32:
            return {1.0, std::numeric_limits<float>::denorm_min(),
                    std::numeric_limits<float>::max()};
        case Dtype::float64:
            break;
    }
    // Sums of the very largest doubles overflow; that has a test of its own.
    return {1.0, std::numeric_limits<double>::denorm_min(), std::ldexp(1.0, 1000)};
}

// On a grid, so that integer references can follow.
double on_grid(double value) {
    return std::ldexp(std::nearbyint(std::ldexp(value, 20)), -20);
}

}  // namespace

const char* name_of(Distribution distribution) {
    static constexpr const char* kNames[] = {
        "normal",   "heavy tails", "integers 0 to 7", "70 % zeros",    "binary",     "constant",
        "negative", "denormal",    "twelve decades",  "near overflow", "structured", "rank one",
    };
    return kNames[static_cast<int>(distribution)];
}

double draw(Distribution distribution, Dtype dtype, std::int64_t i, std::int64_t j,
            Random& random) {
    const Range range = range_of(dtype);
    const auto row = static_cast<double>(i % 13), column = static_cast<double>(j % 11);
    switch (distribution) {
        case Distribution::normal:
            return range.unit * on_grid(random.normal());
        case Distribution::heavy_tails:
            return range.unit * on_grid(random.normal() / std::sqrt(random.uniform() + 1e-6));
        case Distribution::small_integers:
            return random.between(0, 7);
        case Distribution::mostly_zero:
            return random.uniform() < 0.7 ? 0.0 : range.unit * on_grid(random.normal());
        case Distribution::binary:
            return random.between(0, 1);
        case Distribution::constant:
            return range.unit * 0.7;
        case Distribution::negative:
            return -range.unit * on_grid(std::fabs(random.normal()));
        case Distribution::denormal:
            return range.tiny * random.between(0, 1 << 21);
        case Distribution::twelve_decades:
            return range.unit * std::pow(10.0, 12.0 * random.uniform() - 6.0) *
                   (random.between(0, 1) ? 1.0 : -1.0);
        case Distribution::near_overflow:
            return range.huge * (1.0 - 0.5 * random.uniform()) *
                   (random.between(0, 1) ? 1.0 : -1.0);
        case Distribution::structured:
            return static_cast<double>((i + 1) * (j + 1) % 65521);
        case Distribution::rank_one:
            break;
    }
    return row * 3.0 + column * 5.0 - 40.0;
}

void fill(Array& array, Distribution distribution, Random& random) {
    const std::int64_t columns = array.shape().back(), rows = array.shape().end()[-2];
    for (std::int64_t flat = 0; flat < array.size(); ++flat)
        array.set(flat,
                  draw(distribution, array.dtype(), flat / columns % rows, flat % columns, random));
}

void fill_tile_by_tile(Array& array, int m, Random& random) {
    const std::int64_t columns = array.shape().back(), rows = array.shape().end()[-2];
    const auto salt = random.bits();
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        const std::int64_t i = flat / columns % rows, j = flat % columns;
        const std::int64_t plane = flat / columns / rows;
        Random tile(salt + static_cast<std::uint64_t>((plane * 1009 + i / m) * 1009 + j / m));
        const auto choice = tile.bits() % kDistributions.size();
        array.set(flat, draw(kDistributions.begin()[choice], array.dtype(), i, j, random));
    }
}

}  // namespace tnm::test
