// Products against double: every dtype, tail, mask, layout, activation and number of threads.
#include "tnm/products.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "products/packed_memory.hpp"
#include "reference/products.hpp"
#include "support/check.hpp"
#include "tnm/build_info.hpp"

namespace tnm::test {
namespace {

struct Setup {
    std::int64_t rows, columns;
    Shape lead;  // tokens, before the last axis
    Dtype dtype = Dtype::float32;
    Dtype result = Dtype::float32;
    Kept kept = Kept::half;
    Memory memory = Memory::contiguous;         // of the activations
    Memory result_memory = Memory::contiguous;  // of the result
    bool has_bias = false;
    Activation activation = Activation::none;
    int shift = 0;  // of the packed matrix in memory

    Shape with(std::int64_t last) const {
        Shape shape = lead;
        shape.push_back(last);
        return shape;
    }
    std::string description() const {
        return join(rows, " x ", columns, ", ", name_of(dtype), " to ", name_of(result),
                    ", tokens ", name_of(lead), ", kept ", static_cast<int>(kept), ", ",
                    name_of(memory), " to ", name_of(result_memory), ", activation ",
                    static_cast<int>(activation), has_bias ? ", bias" : "", ", shift ", shift);
    }
};

// Everything about one product, ready to be multiplied.
class Case {
  public:
    Case(const Setup& setup, Random& random)
        : setup_(setup),
          weights_(setup.dtype, {setup.rows, setup.columns}),
          mask_({setup.rows, setup.columns}),
          x_(setup.dtype, setup.with(setup.columns), setup.memory) {
        fill_normal(weights_, random);
        fill_normal(x_, random);
        keep(mask_, setup.kept, random);
        bias_ = std::vector<float>(static_cast<std::size_t>(setup.has_bias ? setup.rows : 0));
        for (float& offset : bias_) offset = static_cast<float>(random.normal());
        pack_weights();
    }

    Array& weights() { return weights_; }
    Array& x() { return x_; }
    MaskArray& mask() { return mask_; }
    void pack_weights() {
        const PackedShape shape = shape_for(weights_, mask_);
        packed_ = PackedMemory(packed_bytes(shape), setup_.shift);
        TNM_CHECK(pack(elements_of(weights_), mask_.const_view(), shape, packed_.data(),
                       Execution{}) == Status::ok);
    }

    Status try_multiply(Array& y, const Execution& execution) const {
        Product product;
        product.packed = packed_.data();
        product.activations = x_.view();
        product.result = mutable_view(y);
        product.bias = bias_.empty() ? nullptr : bias_.data();
        product.activation = setup_.activation;
        return multiply(product, execution);
    }
    Array multiplied(int threads = 1) const {
        Array y(setup_.result, setup_.with(setup_.rows), setup_.result_memory);
        TNM_CHECK(try_multiply(y, {.threads = threads}) == Status::ok);
        return y;
    }

    void check() const {
        const Given given([&] { return setup_.description(); });
        const Array y = multiplied();
        const bool flushes = setup_.dtype == Dtype::bfloat16 && instruction_set() == "avx512_bf16";
        const NaiveProduct naive = naive_product(weights_, mask_, x_, bias_, flushes);
        for (std::int64_t flat = 0; flat < y.size(); ++flat)
            check_entry(y.get(flat), naive.sums[static_cast<std::size_t>(flat)],
                        naive.bounds[static_cast<std::size_t>(flat)]);
        check_gaps(y);
    }

  private:
    void check_entry(double got, double sum, double bound) const {
        const double exact = naive_activation(setup_.activation, sum);
        if (std::isnan(exact)) return TNM_CHECK(std::isnan(got));
        if (std::isinf(sum)) {
            // Far below zero activations are next to nothing.
            const bool is_far_below = sum < 0.0 && setup_.activation != Activation::none;
            return TNM_CHECK(is_far_below ? std::fabs(got) < 1e-35 : got == exact);
        }
        const double off = activation_bound(setup_.activation, sum, bound);
        const Given given([&] { return join(got, ", expected ", exact, " within ", off); });
        TNM_CHECK(rounded(setup_.result, exact - off) <= got);
        TNM_CHECK(got <= rounded(setup_.result, exact + off));
    }
    // Bytes between elements are as they were.
    static void check_gaps(Array y) {
        for (std::int64_t flat = 0; flat < y.size(); ++flat) y.set_bits(flat, ~std::uint64_t{0});
        for (const std::byte byte : y.bytes()) TNM_CHECK(byte == std::byte{0xff});
    }

    Setup setup_;
    Array weights_;
    MaskArray mask_;
    Array x_;
    std::vector<float> bias_;
    PackedMemory packed_{0};
};

void check_product(const Setup& setup, Random& random) {
    Case(setup, random).check();
}

constexpr std::int64_t kTokens[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  13, 16, 17,
                                    20, 27, 33, 40, 47, 49, 63, 65, 94, 97, 130};

void test_tokens() {
    Random random(1);
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t tokens : kTokens)
            check_product({.rows = 19, .columns = 75, .lead = {tokens}, .dtype = dtype}, random);
}

void test_rows_and_columns() {
    Random random(2);
    std::size_t k = 0;
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t side : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 129})
            for (const std::int64_t other : {1, 10}) {
                const std::int64_t tokens = kTokens[(k += 5) % std::size(kTokens)];
                check_product({.rows = side, .columns = other, .lead = {tokens}, .dtype = dtype},
                              random);
                check_product({.rows = other, .columns = side, .lead = {tokens}, .dtype = dtype},
                              random);
            }
    check_product({.rows = 5, .columns = 9, .lead = {0}}, random);
    // More blocks than few tokens take at once, and more rows than a piece has.
    for (const std::int64_t tokens : {1, 3, 11}) {
        check_product({.rows = 4, .columns = 1100, .lead = {tokens}}, random);
        check_product({.rows = 1100, .columns = 4, .lead = {tokens}}, random);
    }
}

void test_masks() {
    Random random(3);
    for (const Kept kept : kKept)
        for (const Dtype dtype : kValueDtypes)
            for (const std::int64_t tokens : {1, 3, 6, 14, 33, 70})
                check_product(
                    {.rows = 9, .columns = 130, .lead = {tokens}, .dtype = dtype, .kept = kept},
                    random);
}

void test_memories() {
    Random random(4);
    for (const Dtype dtype : kValueDtypes)
        for (const Memory memory : kMemories)
            for (const Memory result_memory : kMemories)
                for (const Shape& lead : {Shape{3}, Shape{2, 9}, Shape{3, 2, 4}, Shape{35}}) {
                    if (memory != result_memory && lead.size() == 3) continue;
                    check_product({.rows = 31,
                                   .columns = 37,
                                   .lead = lead,
                                   .dtype = dtype,
                                   .result = dtype,
                                   .memory = memory,
                                   .result_memory = result_memory,
                                   .has_bias = true,
                                   .shift = 1},
                                  random);
                }
}

void test_activations_and_results() {
    Random random(5);
    for (const Dtype result : kValueDtypes)
        for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu,
                                            Activation::gelu_tanh, Activation::silu})
            for (const std::int64_t tokens : {2, 21})
                for (const Memory memory : {Memory::contiguous, Memory::sliced, Memory::fortran}) {
                    Setup setup{.rows = 70, .columns = 20, .lead = {tokens}};
                    setup.result = result;
                    setup.activation = activation;
                    setup.result_memory = memory;
                    check_product(setup, random);
                    setup.has_bias = true;
                    check_product(setup, random);
                }
}

// Denormal factors, and factors of all sizes.
void test_sizes_of_numbers() {
    Random random(6);
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t tokens : {2, 21}) {
            Case one({.rows = 9, .columns = 70, .lead = {tokens}, .dtype = dtype, .result = dtype},
                     random);
            const int least = dtype == Dtype::float16 ? -24 : -135;
            for (std::int64_t k = 0; k < one.weights().size(); ++k)
                one.weights().set(k, std::ldexp(random.normal(), random.between(least, 10)));
            for (std::int64_t k = 0; k < one.x().size(); ++k)
                one.x().set(k, std::ldexp(random.normal(), random.between(-10, 12)));
            one.pack_weights();
            one.check();
        }
}

// Row r keeps column r: results are the activations, converted once.
Array through_identity(const std::vector<double>& numbers, Dtype dtype, Dtype result) {
    constexpr std::int64_t kSide = 40;
    const auto tokens = static_cast<std::int64_t>(numbers.size()) / kSide;
    Random random(7);
    Case one({.rows = kSide, .columns = kSide, .lead = {tokens}, .dtype = dtype, .result = result},
             random);
    for (std::int64_t flat = 0; flat < one.mask().size(); ++flat) {
        one.mask().set(flat, flat % (kSide + 1) == 0);
        one.weights().set(flat, 1.0);
    }
    for (std::int64_t k = 0; k < one.x().size(); ++k)
        one.x().set(k, numbers[static_cast<std::size_t>(k)]);
    one.pack_weights();
    return one.multiplied();
}

// What two neighbours of a 16-bit format, and what lies about half-way, become.
void test_rounding() {
    for (const Dtype result : {Dtype::float16, Dtype::bfloat16}) {
        const auto decode = result == Dtype::float16 ? decode_float16 : decode_bfloat16;
        const int infinity = result == Dtype::float16 ? 0x7c00 : 0x7f80;
        std::vector<double> numbers;
        for (int bits = 0; bits < infinity; bits += bits < 70 || bits > infinity - 70 ? 1 : 61) {
            const double low = decode(static_cast<std::uint16_t>(bits));
            double high = decode(static_cast<std::uint16_t>(bits + 1));
            if (std::isinf(high)) high = 2.0 * low - decode(static_cast<std::uint16_t>(bits - 1));
            const double half = (low + high) / 2.0, nudge = (high - low) / 1024.0;
            for (const double number : {low, half, half - nudge, half + nudge})
                for (const double sign : {1.0, -1.0}) numbers.push_back(sign * number);
        }
        numbers.resize(numbers.size() / 40 * 40);
        const Array y = through_identity(numbers, Dtype::float32, result);
        for (std::int64_t k = 0; k < y.size(); ++k) {
            const double number = numbers[static_cast<std::size_t>(k)];
            const Given given([&] { return join(number, " to ", name_of(result)); });
            TNM_CHECK_EQUAL(y.get(k), rounded(result, rounded(Dtype::float32, number)));
        }
    }
}

// Infinite and NaN activations and weights: they count where they are kept, and nowhere else.
void test_not_finite() {
    Random random(8);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (const Dtype dtype : kValueDtypes)
        for (const double value : {kInfinity, -kInfinity, std::nan("")})
            for (const std::int64_t tokens : {1, 4, 19}) {
                Setup setup{.rows = 12, .columns = 80, .lead = {tokens}, .dtype = dtype};
                setup.activation = tokens == 1   ? Activation::none
                                   : tokens == 4 ? Activation::gelu
                                   : value > 0.0 ? Activation::gelu_tanh
                                                 : Activation::silu;
                Case one(setup, random);
                one.x().set((tokens - 1) * 80 + 70, value);
                one.check();
                one.weights().set(5 * 80 + 3, value);
                one.mask().set(5 * 80 + 3, true);
                one.weights().set(7 * 80 + 3, value);
                one.mask().set(7 * 80 + 3, false);
                one.pack_weights();
                one.check();
            }
}

void test_threads() {
    Random random(9);
    for (const Dtype dtype : kValueDtypes)
        for (const std::int64_t tokens : {1, 7, 50, 150})
            for (const std::int64_t rows : {5, 400}) {
                const Case one({.rows = rows, .columns = 70, .lead = {tokens}, .dtype = dtype},
                               random);
                const Array alone = one.multiplied();
                for (const int threads : {2, 3, 5})
                    TNM_CHECK(one.multiplied(threads).bytes() == alone.bytes());
            }
}

bool always(void*) {
    return true;
}

void test_interruption() {
    Random random(10);
    const Case one({.rows = 5, .columns = 5, .lead = {5}}, random);
    Array y(Dtype::float32, {5, 5});
    TNM_CHECK(one.try_multiply(y, {.threads = 1, .interrupted = always, .context = nullptr}) ==
              Status::interrupted);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"tokens", test_tokens},
                         {"rows_and_columns", test_rows_and_columns},
                         {"masks", test_masks},
                         {"memories", test_memories},
                         {"activations_and_results", test_activations_and_results},
                         {"sizes_of_numbers", test_sizes_of_numbers},
                         {"rounding", test_rounding},
                         {"not_finite", test_not_finite},
                         {"threads", test_threads},
                         {"interruption", test_interruption},
                     });
}
