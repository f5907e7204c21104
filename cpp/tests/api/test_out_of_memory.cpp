// Whichever allocation fails: a status comes back, no exception does, and nothing leaks.
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"
#include "tnm/count.hpp"
#include "tnm/counting/curveball.hpp"
#include "tnm/counting/margin_count.hpp"
#include "tnm/counting/mask_table.hpp"
#include "tnm/products.hpp"
#include "tnm/rowwise.hpp"

namespace {

// Allocations until one fails; negative: none will.
thread_local long allocations_left = -1;
thread_local bool failed = false;

}  // namespace

static void count_allocation() {
    if (allocations_left == 0) {
        failed = true;
        throw std::bad_alloc();
    }
    if (allocations_left > 0) --allocations_left;
}

void* operator new(std::size_t size) {
    count_allocation();
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
// What std::stable_sort asks for, which does without if it gets none.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return std::malloc(size == 0 ? 1 : size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    count_allocation();
    const auto step = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(step, (size + step) / step * step)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace tnm::test {
namespace {

// Calls with the first, the second, ... allocation of the calling thread failing, until the call
// needs no more.
template <class Call>
void check_every_allocation(Call&& call) {
    constexpr long kMost = 1000;
    for (long allowed = 0; allowed < kMost; ++allowed) {
        const Given given([&] { return join("allocation number ", allowed, " fails"); });
        bool threw = false;
        Status status = Status::ok;
        failed = false;
        allocations_left = allowed;
        try {
            status = call();
        } catch (...) {
            threw = true;
        }
        allocations_left = -1;
        TNM_CHECK(!threw);
        if (!failed) {
            TNM_CHECK(status == Status::ok);
            TNM_CHECK(allowed > 0);
            return;
        }
        TNM_CHECK(status == Status::out_of_memory);
    }
    TNM_CHECK(!"allocations without end");
}

void check_transposable(Method method, int threads, bool certified) {
    Random random(1);
    Array array(Dtype::float32, {21, 70});
    fill(array, Distribution::small_integers, random);
    Execution execution;
    execution.threads = threads;
    for (const auto& [n, m] : {std::pair{2, 4}, std::pair{4, 8}, std::pair{5, 20}}) {
        const Given given([&] { return join(n, ":", m, ", ", threads, " threads"); });
        Certificate certificate(tiles_of(array, {n, m}, Score::abs).size(), m);
        CertificateView view = certificate.view();
        MaskArray mask(array.shape());
        check_every_allocation([&] {
            return transposable_mask(array.view(), mask.view(), {{n, m}, method},
                                     certified ? &view : nullptr, execution);
        });
    }
}

void test_optimal() {
    check_transposable(Method::optimal, 1, false);
}

void test_certified() {
    check_transposable(Method::optimal, 1, true);
}

void test_threads() {
    check_transposable(Method::optimal, 2, false);
}

void test_approximate() {
    check_transposable(Method::two_approximation, 1, false);
    check_transposable(Method::greedy, 1, false);
}

void test_rowwise_and_count() {
    const Array array(Dtype::uint8, {20, 20});
    MaskArray mask(array.shape());
    check_every_allocation(
        [&] { return nm_mask(array.view(), mask.view(), {2, 4}, Score::abs, Execution{}); });
    std::array<std::uint8_t, 100> rows{}, columns{};
    const auto counts = [](std::array<std::uint8_t, 100>& data, std::int64_t height,
                           std::int64_t width) {
        CountsView view{data.data(), {}};
        view.strides.rank = 2;
        view.strides.shape = {height, width};
        view.strides.bytes = {width, 1};
        return view;
    };
    check_every_allocation([&] {
        CountedMask counted;
        return count_kept(mask.const_view(), {{2, 4}}, counts(rows, 20, 5), counts(columns, 5, 20),
                          counted, {});
    });
}

void test_margins() {
    const std::vector<int> rows{2, 1, 2}, columns{2, 1, 1, 1};
    check_every_allocation([&] {
        TableMemory memory{1U << 30, 0};
        BigCount count;
        return count_margins(rows, columns, memory, count, {});
    });
    check_every_allocation([&] {
        TableMemory memory{1U << 30, 0};
        BigCount count;
        return count_at_most(3, 3, 2, memory, count, {});
    });
}

void test_mask_table() {
    std::unique_ptr<MaskTable> table;
    check_every_allocation([&] {
        TableMemory memory{1U << 30, 0};
        return MaskTable::create({3, 4}, memory, table, {});
    });
    std::uint64_t index = 7;
    std::array<std::uint8_t, 16> mask{};
    check_every_allocation([&] { return table->sample(&index, 1, mask.data(), {}); });
    check_every_allocation([&] { return table->unrank(&index, 1, mask.data(), {}); });
    check_every_allocation([&] { return table->rank(mask.data(), 1, &index, {}); });
    TNM_CHECK_EQUAL(index, 7U);
}

void test_curveball() {
    const std::array<std::uint64_t, 4> seed{1, 2, 3, 4};
    std::array<std::uint8_t, 16> mask{};
    check_every_allocation(
        [&] { return curveball_masks({2, 4}, 10, seed.data(), 1, mask.data(), {}); });
}

void check_products(int threads) {
    const Execution execution{.threads = threads};
    const Array weights(Dtype::float16, {130, 70}), x(Dtype::float16, {40, 70});
    Array y(Dtype::float32, {40, 130});
    MaskArray mask({130, 70});
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, true);
    const PackedShape shape{130, 70, mask.size(), Dtype::float16};
    std::vector<std::byte> packed(static_cast<std::size_t>(packed_bytes(shape)));
    const ArrayView view = weights.view(), result = y.view();
    const ElementsView elements{view.data, 2, view.strides};
    check_every_allocation(
        [&] { return pack(elements, mask.const_view(), shape, packed.data(), execution); });
    check_every_allocation([&] { return update_packed(elements, packed.data(), execution); });
    Product product;
    product.packed = packed.data();
    product.activations = x.view();
    product.result = {const_cast<std::byte*>(result.data), result.dtype, result.strides};
    check_every_allocation([&] { return multiply(product, execution); });
}

void test_products() {
    check_products(1);
    check_products(2);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"optimal", test_optimal},
                         {"certified", test_certified},
                         {"threads", test_threads},
                         {"approximate", test_approximate},
                         {"rowwise_and_count", test_rowwise_and_count},
                         {"margins", test_margins},
                         {"mask_table", test_mask_table},
                         {"curveball", test_curveball},
                         {"products", test_products},
                     });
}
