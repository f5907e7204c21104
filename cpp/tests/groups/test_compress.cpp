// Compression against its definition, and there and back again.
#include "tnm/compress.hpp"

#include <algorithm>
#include <cstring>

#include "support/array.hpp"
#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

struct Compressed {
    std::vector<std::byte> values;
    std::vector<std::uint8_t> indices;
};

std::size_t groups_of(const Shape& shape, int m) {
    const std::int64_t lines = shape.back() == 0 ? 0 : size_of(shape) / shape.back();
    return static_cast<std::size_t>(lines * ((shape.back() + m - 1) / m));
}

Compressed memory_for(const Shape& shape, const Pattern& pattern, std::size_t item) {
    const std::size_t count = groups_of(shape, pattern.m) * static_cast<std::size_t>(pattern.n);
    return {std::vector<std::byte>(count * item, std::byte{0xee}),
            std::vector<std::uint8_t>(count, 0xee)};
}

ElementsView elements_of(const Array& array) {
    const ArrayView view = array.view();
    return {view.data, item_size(array.dtype()), view.strides};
}

// The first over-full group, whatever the number of threads.
std::optional<std::int64_t> pack(const ElementsView& elements, const MaskArray& mask,
                                 const Pattern& pattern, std::byte* values, std::uint8_t* indices,
                                 int threads = 1) {
    Execution execution;
    execution.threads = threads;
    std::optional<std::int64_t> overfull;
    TNM_CHECK(compress(elements, mask.const_view(), pattern, values, indices, overfull,
                       execution) == Status::ok);
    return overfull;
}

// Whether all indices were valid.
bool unpack(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
            const MutableElementsView& elements) {
    bool valid = false;
    TNM_CHECK(decompress(values, indices, pattern, elements, valid, Execution{}) == Status::ok);
    return valid;
}

// A random mask with at most n in each group along the last axis, often fewer.
void keep_at_most_n(MaskArray& mask, const Pattern& pattern, Random& random) {
    const std::int64_t columns = mask.shape().back();
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, false);
    for (std::int64_t row = 0; row < mask.size() / columns; ++row)
        for (std::int64_t start = 0; start < columns; start += pattern.m) {
            const auto width = static_cast<int>(std::min<std::int64_t>(pattern.m, columns - start));
            const int tries = random.between(0, 1) ? pattern.n : random.between(0, pattern.n);
            for (int k = 0; k < tries; ++k)
                mask.set(row * columns + start + random.between(0, width - 1), true);
        }
}

// What the definition says about one group: indices ascend, kept positions carry their element,
// the others are the lowest dropped ones and carry zero.
void check_group(const Array& array, const MaskArray& mask, std::int64_t first, int width,
                 const Pattern& pattern, const std::byte* values, const std::uint8_t* indices) {
    const std::size_t item = item_size(array.dtype());
    std::vector<std::uint8_t> expected;
    int fill = pattern.n;
    for (int j = 0; j < width; ++j) fill -= mask.get(first + j);
    for (int j = 0; j < pattern.m; ++j) {
        const bool kept = j < width && mask.get(first + j);
        if (kept || fill-- > 0) expected.push_back(static_cast<std::uint8_t>(j));
    }
    TNM_CHECK(std::equal(expected.begin(), expected.end(), indices, indices + pattern.n));
    for (int k = 0; k < pattern.n; ++k) {
        Array element(array.dtype(), {1, 1});
        const bool kept = indices[k] < width && mask.get(first + indices[k]);
        element.set(0, kept ? array.get(first + indices[k]) : 0.0);
        TNM_CHECK(std::memcmp(element.bytes().data(), values + static_cast<std::size_t>(k) * item,
                              item) == 0);
    }
}

void check_groups(const Array& array, const MaskArray& mask, const Pattern& pattern,
                  const Compressed& compressed) {
    const std::int64_t columns = array.shape().back();
    const std::size_t n = static_cast<std::size_t>(pattern.n), item = item_size(array.dtype());
    std::size_t group = 0;
    for (std::int64_t row = 0; row < array.size() / columns; ++row)
        for (std::int64_t start = 0; start < columns; start += pattern.m, ++group)
            check_group(array, mask, row * columns + start,
                        static_cast<int>(std::min<std::int64_t>(pattern.m, columns - start)),
                        pattern, compressed.values.data() + group * n * item,
                        compressed.indices.data() + group * n);
}

void check_round_trip(const Array& array, const MaskArray& mask, const Pattern& pattern,
                      Memory memory, const Compressed& compressed) {
    const std::size_t item = item_size(array.dtype());
    const Placement placement(array.shape(), item, memory);
    std::vector<std::byte> buffer(placement.bytes(), std::byte{0xee});
    for (std::int64_t flat = 0; flat < array.size(); ++flat)
        std::memset(buffer.data() + placement.offset(flat), 0, item);
    std::vector<std::byte> expected = buffer;
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        Array element(array.dtype(), {1, 1});
        element.set(0, array.get(flat));
        if (mask.get(flat))
            std::memcpy(expected.data() + placement.offset(flat), element.bytes().data(), item);
    }
    const MutableElementsView target{buffer.data() + placement.first(), item, placement.strides()};
    TNM_CHECK(unpack(compressed.values.data(), compressed.indices.data(), pattern, target));
    TNM_CHECK(buffer == expected);
}

void test_round_trips() {
    Random random(1);
    for (const auto& [n, m] :
         {std::pair{1, 1}, std::pair{1, 2}, std::pair{2, 4}, std::pair{3, 5}, std::pair{4, 8},
          std::pair{16, 32}, std::pair{1, 128}, std::pair{127, 128}, std::pair{128, 128}})
        for (const Dtype dtype : {Dtype::uint8, Dtype::float16, Dtype::float32, Dtype::float64})
            for (const Memory memory : kMemories) {
                const Shape shape = {2, 3, random.between(1, 2 * m + 1)};
                Array array(dtype, shape, memory);
                for (std::int64_t flat = 0; flat < array.size(); ++flat)
                    array.set(flat, random.between(0, 100));
                MaskArray mask(shape, memory);
                keep_at_most_n(mask, {n, m}, random);
                const Given given([&] { return join(array.description(), ", ", n, ":", m); });
                Compressed compressed = memory_for(shape, {n, m}, item_size(dtype));
                const auto overfull = pack(elements_of(array), mask, {n, m},
                                           compressed.values.data(), compressed.indices.data());
                TNM_CHECK(!overfull);
                check_groups(array, mask, {n, m}, compressed);
                check_round_trip(array, mask, {n, m}, memory, compressed);
            }
}

// Elements are bytes to it: 16 of them as well, whatever they mean.
void test_sixteen_byte_items() {
    std::vector<std::byte> elements(8 * 16);
    for (std::size_t k = 0; k < elements.size(); ++k) elements[k] = static_cast<std::byte>(k);
    MaskArray mask({1, 8});
    for (std::int64_t flat = 0; flat < 8; ++flat) mask.set(flat, flat % 4 >= 2);
    Strides strides = mask.view().strides;
    strides.bytes[0] = 128;
    strides.bytes[1] = 16;
    std::vector<std::byte> values(4 * 16);
    std::uint8_t indices[4];
    TNM_CHECK(!pack({elements.data(), 16, strides}, mask, {2, 4}, values.data(), indices));
    TNM_CHECK(std::equal(values.begin(), values.begin() + 32, elements.begin() + 32));
    TNM_CHECK(std::equal(values.begin() + 32, values.end(), elements.begin() + 96));
}

void test_overfull_group_is_named() {
    for (std::int64_t bad = 0; bad < 12; ++bad) {
        const Array array(Dtype::float32, {2, 2, 10});  // three groups a row
        MaskArray mask(array.shape());
        for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, false);
        const std::int64_t start = bad / 3 * 10 + bad % 3 * 4;
        for (int k = 0; k < 2; ++k) mask.set(start + k, true);
        Compressed compressed = memory_for(array.shape(), {1, 4}, 4);
        const auto overfull = pack(elements_of(array), mask, {1, 4}, compressed.values.data(),
                                   compressed.indices.data());
        TNM_CHECK(overfull.has_value());
        TNM_CHECK_EQUAL(*overfull, bad);
    }
}

// Large enough that every thread gets some; two over-full groups far apart, of which the first
// counts.
void test_threads_agree() {
    Random random(2);
    Array array(Dtype::float32, {3, 300, 515});
    for (std::int64_t flat = 0; flat < array.size(); ++flat)
        array.set(flat, random.between(0, 100));
    MaskArray mask(array.shape());
    keep_at_most_n(mask, {2, 4}, random);
    const Compressed untouched = memory_for(array.shape(), {2, 4}, 4);
    Compressed expected = untouched;
    TNM_CHECK(
        !pack(elements_of(array), mask, {2, 4}, expected.values.data(), expected.indices.data()));
    MaskArray overfull = mask;
    for (const std::int64_t start : {std::int64_t{100} * 515 + 8, std::int64_t{850} * 515})
        for (int k = 0; k < 3; ++k) overfull.set(start + k, true);
    for (const int threads : {1, 2, 7}) {
        const Given given([&] { return join(threads, " threads"); });
        Compressed compressed = untouched;
        TNM_CHECK(!pack(elements_of(array), mask, {2, 4}, compressed.values.data(),
                        compressed.indices.data(), threads));
        TNM_CHECK(compressed.values == expected.values);
        TNM_CHECK(compressed.indices == expected.indices);
        const auto found = pack(elements_of(array), overfull, {2, 4}, compressed.values.data(),
                                compressed.indices.data(), threads);
        TNM_CHECK(found.has_value());
        TNM_CHECK_EQUAL(*found, 100 * 129 + 2);
    }
}

// Many lines that lie next to each other, wherever in a cache line the first begins.
void test_lines_side_by_side() {
    Random random(3);
    constexpr std::int64_t lines = 260, columns = 520, apart = 320, cache_line = 64;
    const Pattern pattern{2, 4};
    for (const Dtype dtype : {Dtype::uint8, Dtype::float16, Dtype::float32, Dtype::float64}) {
        const auto item = static_cast<std::int64_t>(item_size(dtype));
        Array array(dtype, {lines, columns});
        for (std::int64_t flat = 0; flat < array.size(); ++flat)
            array.set(flat, random.between(0, 100));
        MaskArray mask(array.shape());
        keep_at_most_n(mask, pattern, random);
        for (const std::int64_t past :
             {std::int64_t{0}, item, std::int64_t{16}, std::int64_t{33}}) {
            const Given given([&] { return join(name_of(dtype), ", ", past, " bytes"); });
            std::vector<std::byte> buffer(static_cast<std::size_t>(columns * apart * item + 128));
            const auto begin = reinterpret_cast<std::uintptr_t>(buffer.data());
            std::byte* first =
                buffer.data() + (cache_line - begin % cache_line) % cache_line + past;
            const auto place = [&](std::int64_t flat) {
                return first + (flat % columns * apart + flat / columns) * item;
            };
            const auto element = [&](std::int64_t flat) {
                return array.bytes().data() + flat * item;
            };
            for (std::int64_t flat = 0; flat < array.size(); ++flat)
                std::memcpy(place(flat), element(flat), item_size(dtype));
            Strides strides = array.view().strides;
            strides.bytes[0] = item;
            strides.bytes[1] = apart * item;
            Compressed compressed = memory_for(array.shape(), pattern, item_size(dtype));
            TNM_CHECK(!pack({first, item_size(dtype), strides}, mask, pattern,
                            compressed.values.data(), compressed.indices.data()));
            check_groups(array, mask, pattern, compressed);

            std::fill(buffer.begin(), buffer.end(), std::byte{0xee});
            std::vector<std::byte> expected = buffer;
            for (std::int64_t flat = 0; flat < array.size(); ++flat) {
                std::byte* there = expected.data() + (place(flat) - buffer.data());
                std::memset(there, 0, item_size(dtype));
                if (mask.get(flat)) std::memcpy(there, element(flat), item_size(dtype));
            }
            TNM_CHECK(unpack(compressed.values.data(), compressed.indices.data(), pattern,
                             {first, item_size(dtype), strides}));
            TNM_CHECK(buffer == expected);
        }
    }
}

// Positions that do not ascend, in one group of many, are put where they say.
void test_positions_in_any_order() {
    Random random(4);
    constexpr std::int64_t lines = 3, columns = 256;
    for (const auto& [n, m] :
         {std::pair{2, 4}, std::pair{3, 6}, std::pair{8, 16}, std::pair{32, 64}})
        for (int repeat = 0; repeat < 20; ++repeat) {
            const Pattern pattern{n, m};
            Compressed given = memory_for({lines, columns}, pattern, 1);
            std::vector<std::byte> expected(lines * columns);
            std::size_t k = 0;
            for (std::int64_t line = 0; line < lines; ++line)
                for (std::int64_t start = 0; start < columns; start += m)
                    for (int j = 0; j < n; ++j, ++k) {
                        given.indices[k] = static_cast<std::uint8_t>(2 * j % m + 2 * j / m);
                        given.values[k] = static_cast<std::byte>(random.between(1, 255));
                    }
            for (int swaps = 0; swaps < 3; ++swaps) {
                const auto group =
                    static_cast<std::size_t>(random.between(0, static_cast<int>(k) / n - 1) * n);
                std::swap(given.indices[group], given.indices[group + 1]);
            }
            k = 0;
            for (std::int64_t line = 0; line < lines; ++line)
                for (std::int64_t start = 0; start < columns; start += m)
                    for (int j = 0; j < n; ++j, ++k)
                        if (start + given.indices[k] < columns)
                            expected[static_cast<std::size_t>(line * columns + start +
                                                              given.indices[k])] = given.values[k];
            std::vector<std::byte> found(lines * columns, std::byte{0xee});
            Strides strides = Array(Dtype::uint8, {lines, columns}).view().strides;
            TNM_CHECK(unpack(given.values.data(), given.indices.data(), pattern,
                             {found.data(), 1, strides}));
            TNM_CHECK(found == expected);
        }
}

void test_corrupt_indices_are_refused() {
    const std::byte values[4] = {};
    for (const std::uint8_t bad : {std::uint8_t{4}, std::uint8_t{255}}) {
        const std::uint8_t indices[4] = {0, 1, 2, bad};
        MaskArray target({1, 8});
        const MutableElementsView view{reinterpret_cast<std::byte*>(target.view().data), 1,
                                       target.view().strides};
        TNM_CHECK(!unpack(values, indices, {2, 4}, view));
    }
    // Among many that are taken at once.
    const Pattern pattern{8, 16};
    for (const std::size_t bad : {std::size_t{7}, std::size_t{40}, std::size_t{127}}) {
        MaskArray target({1, 512});
        Compressed compressed = memory_for(target.shape(), pattern, 1);
        for (std::size_t k = 0; k < compressed.indices.size(); ++k)
            compressed.indices[k] = static_cast<std::uint8_t>(2 * (k % 8));
        const MutableElementsView view{reinterpret_cast<std::byte*>(target.view().data), 1,
                                       target.view().strides};
        TNM_CHECK(unpack(compressed.values.data(), compressed.indices.data(), pattern, view));
        compressed.indices[bad] = 16;
        TNM_CHECK(!unpack(compressed.values.data(), compressed.indices.data(), pattern, view));
    }
}

void test_empty() {
    for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 4, 4}}) {
        const Array array(Dtype::float32, shape);
        const MaskArray mask(shape);
        TNM_CHECK(!pack(elements_of(array), mask, {2, 4}, nullptr, nullptr));
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"round_trips", test_round_trips},
                         {"sixteen_byte_items", test_sixteen_byte_items},
                         {"overfull_group_is_named", test_overfull_group_is_named},
                         {"threads_agree", test_threads_agree},
                         {"lines_side_by_side", test_lines_side_by_side},
                         {"positions_in_any_order", test_positions_in_any_order},
                         {"corrupt_indices_are_refused", test_corrupt_indices_are_refused},
                         {"empty", test_empty},
                     });
}
