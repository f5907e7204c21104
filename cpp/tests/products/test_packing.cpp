// Packing, unpacking, new values, and what is made of memory that pack() did not write.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "products/packed_layout.hpp"
#include "products/packed_memory.hpp"
#include "support/check.hpp"

namespace tnm::test {
namespace {

struct Matrix {
    Matrix(Dtype dtype, const Shape& shape, Kept kept, Random& random,
           Memory memory = Memory::contiguous, Memory mask_memory = Memory::contiguous)
        : weights(dtype, shape, memory), mask(shape, mask_memory) {
        fill_normal(weights, random);
        keep(mask, kept, random);
    }

    std::string description() const {
        return join(weights.description(), ", ", shape_for(weights, mask).kept, " kept");
    }

    Array weights;
    MaskArray mask;
};

PackedMemory packed_of(const Array& weights, const MaskArray& mask, int threads = 1,
                       int shift = 0) {
    const PackedShape shape = shape_for(weights, mask);
    PackedMemory packed(packed_bytes(shape), shift);
    const Status status =
        pack(elements_of(weights), mask.const_view(), shape, packed.data(), {.threads = threads});
    TNM_CHECK(status == Status::ok);
    return packed;
}

bool same_bytes(const PackedMemory& a, const PackedMemory& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// What unpack() writes is the masked matrix and the mask, and nothing beside them.
void check_holds(const PackedMemory& packed, const Array& weights, const MaskArray& mask,
                 Memory memory) {
    Array values(weights.dtype(), weights.shape(), memory), expected = values;
    MaskArray flags(mask.shape(), memory);
    const MutableElementsView target{mutable_view(values).data, item_size(values.dtype()),
                                     values.view().strides};
    TNM_CHECK(unpack(packed.data(), target, flags.view(), Execution{}) == Status::ok);
    for (std::int64_t flat = 0; flat < weights.size(); ++flat) {
        TNM_CHECK(flags.get(flat) == mask.get(flat));
        expected.set(flat, mask.get(flat) ? weights.get(flat) : 0.0);
    }
    TNM_CHECK(values.bytes() == expected.bytes());
    TNM_CHECK(flags.well_formed());
}

void check_packing(const Matrix& matrix, Memory memory) {
    const Given given([&] { return matrix.description(); });
    const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
    const PackedShape shape = shape_for(matrix.weights, matrix.mask);
    const auto read = packed_shape(packed.data(), packed.size());
    TNM_CHECK(read && read->rows == shape.rows && read->columns == shape.columns);
    TNM_CHECK(read->kept == shape.kept && read->dtype == shape.dtype);
    TNM_CHECK(is_consistent(packed.data(), packed.size()));
    check_holds(packed, matrix.weights, matrix.mask, memory);
    TNM_CHECK(same_bytes(packed, packed_of(matrix.weights, matrix.mask, 3, 1)));
}

void test_shapes_and_masks() {
    Random random(1);
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t rows : {0, 1, 3, 63, 64, 65, 130})
            for (const std::int64_t columns : {0, 1, 8, 17, 63, 64, 65, 131})
                for (const Kept kept : kKept) {
                    if (rows * columns > 4000 && kept != Kept::half && kept != Kept::all) continue;
                    check_packing(Matrix(dtype, {rows, columns}, kept, random), Memory::contiguous);
                }
}

void test_memories() {
    Random random(2);
    for (const Dtype dtype : kValueDtypes)
        for (const Memory memory : kMemories)
            for (const Memory mask_memory : kMemories)
                check_packing(Matrix(dtype, {67, 70}, Kept::half, random, memory, mask_memory),
                              memory);
}

void test_update() {
    Random random(3);
    for (const Dtype dtype : kValueDtypes)
        for (const Memory memory : kMemories)
            for (const Kept kept : kKept) {
                const Matrix matrix(dtype, {66, 136}, kept, random);
                const Given given([&] { return matrix.description(); });
                Array weights(dtype, matrix.weights.shape(), memory);
                fill_normal(weights, random);
                for (const int shift : {0, 1}) {
                    const PackedMemory packed = packed_of(matrix.weights, matrix.mask, 1, shift);
                    TNM_CHECK(update_packed(elements_of(weights), packed.data(),
                                            {.threads = 1 + shift}) == Status::ok);
                    TNM_CHECK(same_bytes(packed, packed_of(weights, matrix.mask)));
                }
            }
}

// A transposed view packs the transpose.
void test_transposed() {
    Random random(4);
    const Matrix matrix(Dtype::float32, {70, 131}, Kept::half, random);
    Array weights(Dtype::float32, {131, 70});
    MaskArray mask({131, 70});
    for (std::int64_t r = 0; r < 70; ++r)
        for (std::int64_t c = 0; c < 131; ++c) {
            weights.set(c * 70 + r, matrix.weights.get(r * 131 + c));
            mask.set(c * 70 + r, matrix.mask.get(r * 131 + c) != 0);
        }
    const ArrayView turned = transposed(matrix.weights.view());
    ConstMaskView flags = matrix.mask.const_view();
    flags.strides = transposed({nullptr, Dtype::uint8, flags.strides}).strides;
    PackedMemory packed(packed_bytes(shape_for(weights, mask)));
    TNM_CHECK(pack({turned.data, 4, turned.strides}, flags, shape_for(weights, mask), packed.data(),
                   Execution{}) == Status::ok);
    TNM_CHECK(same_bytes(packed, packed_of(weights, mask)));
}

// Nothing is read beyond the first row, which is the last one in memory.
void test_rows_backwards() {
    Random random(11);
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t columns : {63, 64, 70, 127}) {
            const Matrix matrix(dtype, {9, columns}, Kept::half, random);
            Array backwards(dtype, {9, columns});
            for (std::int64_t flat = 0; flat < backwards.size(); ++flat)
                backwards.set((8 - flat / columns) * columns + flat % columns,
                              matrix.weights.get(flat));
            ElementsView view = elements_of(backwards);
            view.data += 8 * view.strides.row_stride();
            view.strides.bytes[0] = -view.strides.row_stride();
            const PackedShape shape = shape_for(matrix.weights, matrix.mask);
            PackedMemory packed(packed_bytes(shape));
            TNM_CHECK(pack(view, matrix.mask.const_view(), shape, packed.data(), Execution{}) ==
                      Status::ok);
            TNM_CHECK(same_bytes(packed, packed_of(matrix.weights, matrix.mask)));
        }
}

void test_wrong_count() {
    Random random(5);
    const Matrix matrix(Dtype::float32, {20, 70}, Kept::half, random);
    for (const int off : {-1, 1}) {
        PackedShape shape = shape_for(matrix.weights, matrix.mask);
        shape.kept += off;
        PackedMemory packed(packed_bytes(shape));
        TNM_CHECK(pack(elements_of(matrix.weights), matrix.mask.const_view(), shape, packed.data(),
                       Execution{}) == Status::invalid_argument);
    }
}

bool always(void*) {
    return true;
}

void test_interruption() {
    Random random(6);
    const Matrix matrix(Dtype::float32, {20, 70}, Kept::half, random);
    const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
    const Execution stopped{.threads = 1, .interrupted = always, .context = nullptr};
    TNM_CHECK(pack(elements_of(matrix.weights), matrix.mask.const_view(),
                   shape_for(matrix.weights, matrix.mask), packed.data(),
                   stopped) == Status::interrupted);
    TNM_CHECK(update_packed(elements_of(matrix.weights), packed.data(), stopped) ==
              Status::interrupted);
}

// ---- damage ------------------------------------------------------------------------

// Products with what is accepted stay within their bounds: the sanitizer looks on.
void check_safe(const PackedMemory& packed) {
    if (!is_consistent(packed.data(), packed.size())) return;
    const PackedShape shape = *packed_shape(packed.data(), packed.size());
    if (shape.rows > 1000 || shape.columns > 1000) return;
    for (const std::int64_t tokens : {2, 13}) {
        Array x(shape.dtype, {tokens, shape.columns}), y(shape.dtype, {tokens, shape.rows});
        for (std::int64_t flat = 0; flat < x.size(); ++flat) x.set(flat, 1.0);
        Product product;
        product.packed = packed.data();
        product.activations = x.view();
        product.result = mutable_view(y);
        TNM_CHECK(multiply(product, Execution{}) == Status::ok);
    }
    Array weights(shape.dtype, {shape.rows, shape.columns});
    TNM_CHECK(update_packed(elements_of(weights), packed.data(), Execution{}) == Status::ok);
}

PackedMemory copy_of(const PackedMemory& packed) {
    PackedMemory copy(static_cast<std::int64_t>(packed.size()));
    std::memcpy(copy.data(), packed.data(), packed.size());
    return copy;
}

void test_damaged_bytes() {
    Random random(7);
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
        const Matrix matrix(dtype, {66, 70}, Kept::half, random);
        const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
        const PackedLayout layout(shape_for(matrix.weights, matrix.mask));
        for (std::int64_t at = 0; at < layout.values_offset(); ++at)
            for (int bit = 0; bit < 8; bit += 3) {
                const PackedMemory bad = copy_of(packed);
                bad.data()[at] ^= std::byte{1} << bit;
                const std::int64_t bits = layout.bits_offset(), rows = layout.shape.rows;
                // One bit more or less, or a value that begins elsewhere.
                if (at >= layout.begins_offset() && at < bits + layout.blocks() * rows * 8)
                    TNM_CHECK(!is_consistent(bad.data(), bad.size()));
                check_safe(bad);
            }
    }
}

void test_damaged_numbers() {
    Random random(8);
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    const std::vector<std::int64_t> numbers = {
        -kMost - 1, -1,        0,         1,         63,         64,   65,
        1LL << 32,  1LL << 40, 1LL << 56, 1LL << 60, kMost - 63, kMost};
    const Matrix matrix(Dtype::float16, {66, 70}, Kept::half, random);
    const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
    const auto places =
        static_cast<int>(PackedLayout(shape_for(matrix.weights, matrix.mask)).values_offset() / 8);
    for (int k = 0; k < 3000; ++k) {
        const PackedMemory bad = copy_of(packed);
        for (int changes = random.between(1, 3); changes > 0; --changes) {
            const int place =
                random.between(0, 1) ? random.between(0, 13) : random.between(0, places - 1);
            const auto which = random.between(0, static_cast<int>(numbers.size()));
            const std::int64_t number = which < static_cast<int>(numbers.size())
                                            ? numbers[static_cast<std::size_t>(which)]
                                            : random.between(0, 3000);
            std::memcpy(bad.data() + place * 8, &number, 8);
        }
        check_safe(bad);
    }
}

// Whatever the counts say, bits beyond the columns are found.
void test_bits_beyond_columns() {
    Random random(9);
    const Matrix matrix(Dtype::float32, {3, 70}, Kept::half, random);
    const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
    const PackedLayout layout(shape_for(matrix.weights, matrix.mask));
    const std::int64_t last = layout.bits_offset() + 5 * 8;
    for (int column = 6; column < 64; ++column) {
        const PackedMemory bad = copy_of(packed);
        std::uint64_t word = 0;
        std::memcpy(&word, bad.data() + last, 8);
        word = (word & (word - 1)) | std::uint64_t{1} << column;
        std::memcpy(bad.data() + last, &word, 8);
        TNM_CHECK(!is_consistent(bad.data(), bad.size()));
    }
}

void test_sizes() {
    Random random(10);
    const Matrix matrix(Dtype::float32, {66, 70}, Kept::half, random);
    const PackedMemory packed = packed_of(matrix.weights, matrix.mask);
    // Room for a value more, and a header that says so.
    PackedMemory longer(static_cast<std::int64_t>(packed.size()) + 4);
    std::copy(packed.data(), packed.data() + packed.size(), longer.data());
    const std::int64_t kept = shape_for(matrix.weights, matrix.mask).kept + 1;
    std::memcpy(longer.data() + offsetof(PackedHeader, kept), &kept, sizeof kept);
    TNM_CHECK(packed_shape(longer.data(), longer.size()).has_value());
    TNM_CHECK(!is_consistent(longer.data(), longer.size()));
    for (std::size_t bytes = 0; bytes < packed.size(); ++bytes) {
        PackedMemory shorter(static_cast<std::int64_t>(bytes));
        std::copy(packed.data(), packed.data() + bytes, shorter.data());
        TNM_CHECK(!packed_shape(shorter.data(), bytes));
        TNM_CHECK(!is_consistent(shorter.data(), bytes));
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"shapes_and_masks", test_shapes_and_masks},
                         {"memories", test_memories},
                         {"update", test_update},
                         {"transposed", test_transposed},
                         {"rows_backwards", test_rows_backwards},
                         {"wrong_count", test_wrong_count},
                         {"interruption", test_interruption},
                         {"damaged_bytes", test_damaged_bytes},
                         {"damaged_numbers", test_damaged_numbers},
                         {"bits_beyond_columns", test_bits_beyond_columns},
                         {"sizes", test_sizes},
                     });
}
