// Any bytes are a matrix, its mask and activations, and changes to its packed form: products are
// what they are defined to be, and memory that is accepted as packed never leads out of its bounds.
#include <cmath>
#include <vector>

#include "products/packed_memory.hpp"
#include "reader.hpp"
#include "reference/products.hpp"

namespace tnm::test {
namespace {

Array read_values(Reader& reader, Dtype dtype, const Shape& shape, Memory memory) {
    Array array(dtype, shape, memory);
    const std::size_t start = reader.position();
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        reader.rewind_if_used_up(start);
        array.set(flat, (reader.byte() - 128.0) / 16.0);
    }
    return array;
}

Memory read_memory(Reader& reader) {
    return kMemories.begin()[reader.byte() % kMemories.size()];
}

// As activations and results may lie: rows anywhere, the entries of one side by side.
Array tokens_of(Reader& reader, Dtype dtype, std::int64_t tokens, std::int64_t width) {
    return read_values(reader, dtype, {tokens, width}, Memory::contiguous);
}

void check_product(const PackedMemory& packed, const Array& weights, const MaskArray& mask,
                   const Array& activations, const Execution& execution) {
    Array result(Dtype::float32, {activations.shape()[0], weights.shape()[0]});
    const Product product{packed.data(), activations.view(), mutable_view(result), nullptr,
                          Activation::none};
    TNM_CHECK(multiply(product, execution) == Status::ok);
    const NaiveProduct expected = naive_product(weights, mask, activations, {}, true);
    for (std::int64_t flat = 0; flat < result.size(); ++flat) {
        const auto k = static_cast<std::size_t>(flat);
        TNM_CHECK(std::fabs(result.get(flat) - expected.sums[k]) <= expected.bounds[k]);
    }
}

void check_unpacked(const PackedMemory& packed, const Array& weights, const MaskArray& mask,
                    const Execution& execution) {
    Array values(weights.dtype(), weights.shape());
    MaskArray flags(weights.shape());
    const MutableArrayView view = mutable_view(values);
    TNM_CHECK(unpack(packed.data(), {view.data, item_size(view.dtype), view.strides}, flags.view(),
                     execution) == Status::ok);
    TNM_CHECK(flags.flags() == mask.flags());
    for (std::int64_t flat = 0; flat < values.size(); ++flat)
        TNM_CHECK_EQUAL(values.get(flat), mask.get(flat) ? weights.get(flat) : 0.0);
}

// Bytes that anybody may have written: used where the check says that they may be.
void check_foreign(Reader& reader, const PackedMemory& packed, const Array& activations,
                   std::int64_t rows, const Execution& execution) {
    if (packed.size() == 0) return;
    for (int change = reader.between(0, 4); change > 0; --change) {
        const std::size_t at = reader.bits() % (reader.byte() % 2 == 0 ? 64 : packed.size());
        if (at < packed.size()) packed.data()[at] = static_cast<std::byte>(reader.byte());
    }
    if (!is_consistent(packed.data(), packed.size())) return;
    const PackedShape shape = *packed_shape(packed.data(), packed.size());
    if (shape.rows != rows || shape.columns != activations.shape()[1]) return;
    if (shape.dtype != activations.dtype()) return;
    Array result(Dtype::float32, {activations.shape()[0], rows});
    const Product product{packed.data(), activations.view(), mutable_view(result), nullptr,
                          Activation::gelu};
    TNM_CHECK(multiply(product, execution) == Status::ok);
}

void check_one(Reader reader) {
    const Execution execution = read_execution(reader);
    const Dtype dtype = kValueDtypes.begin()[reader.byte() % kValueDtypes.size()];
    const int rows = reader.between(0, 150), columns = reader.between(0, 200);
    const int tokens = reader.between(0, 40);
    MaskArray mask({rows, columns}, read_memory(reader));
    read_mask(reader, mask);
    const Array weights = read_values(reader, dtype, {rows, columns}, read_memory(reader));
    const Array activations = tokens_of(reader, dtype, tokens, columns);
    const Given given([&] {
        return join(weights.description(), ", ", tokens, " tokens, ", execution.threads,
                    " threads");
    });
    const PackedShape shape = shape_for(weights, mask);
    const PackedMemory packed(packed_bytes(shape));
    TNM_CHECK(pack(elements_of(weights), mask.const_view(), shape, packed.data(), execution) ==
              Status::ok);
    TNM_CHECK(is_consistent(packed.data(), packed.size()));
    check_unpacked(packed, weights, mask, execution);
    check_product(packed, weights, mask, activations, execution);
    const Array others = read_values(reader, dtype, {rows, columns}, read_memory(reader));
    TNM_CHECK(update_packed(elements_of(others), packed.data(), execution) == Status::ok);
    check_unpacked(packed, others, mask, execution);
    check_foreign(reader, packed, activations, rows, execution);
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
