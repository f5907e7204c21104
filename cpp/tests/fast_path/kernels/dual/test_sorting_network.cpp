// Sorting and selection in networks of comparators.
#include "fast_path/kernels/dual/sorting_network-inl.hpp"

#include <functional>

#include "fast_path/kernels/strips.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;
using isa::Int16s;

constexpr int kLanes = isa::kLanes<Int16s>;

// Calls check(values, lane) after work(vectors) on sequences that make(lane) gives.
template <int kSize, class Make, class Work>
std::array<std::vector<int>, kLanes> run(Make&& make, Work&& work) {
    Int16s vectors[kSize];
    std::array<std::vector<int>, kLanes> sequences;
    for (int lane = 0; lane < kLanes; ++lane) {
        auto& sequence = sequences[static_cast<std::size_t>(lane)];
        sequence = make(lane);
        for (int k = 0; k < kSize; ++k)
            vectors[k][lane] = static_cast<std::int16_t>(sequence[static_cast<std::size_t>(k)]);
        std::sort(sequence.begin(), sequence.end(), std::greater<>());
    }
    work(vectors, sequences);
    return sequences;
}

template <int kSize>
void check_sorts(const std::function<std::vector<int>(int)>& make) {
    run<kSize>(make, [](Int16s* vectors, const auto& sorted) {
        isa::sort_descending<kSize>(vectors);
        for (int lane = 0; lane < kLanes; ++lane)
            for (int k = 0; k < kSize; ++k)
                TNM_CHECK_EQUAL(
                    int{vectors[k][lane]},
                    sorted[static_cast<std::size_t>(lane)][static_cast<std::size_t>(k)]);
    });
}

std::vector<int> bits_of(std::uint64_t bits, int size) {
    std::vector<int> sequence;
    for (int k = 0; k < size; ++k) sequence.push_back(static_cast<int>(bits >> k & 1U));
    return sequence;
}

// A network that sorts all zeros and ones sorts everything (Knuth, 5.3.4 Z).
template <int kSize>
void check_zeros_and_ones(std::uint64_t step) {
    for (std::uint64_t first = 0; first < std::uint64_t{1} << kSize; first += step * kLanes)
        check_sorts<kSize>([&](int lane) {
            return bits_of(first + step * static_cast<std::uint64_t>(lane), kSize);
        });
}

void test_sorts_zeros_and_ones() {
    check_zeros_and_ones<2>(1);
    check_zeros_and_ones<4>(1);
    check_zeros_and_ones<8>(1);
    check_zeros_and_ones<16>(5);
    check_zeros_and_ones<32>(2097143);
}

std::vector<int> draw_sequence(int size, Random& random) {
    std::vector<int> sequence;
    const int range = 1 << random.between(0, 15);
    for (int k = 0; k < size; ++k) sequence.push_back(random.between(-range, range - 1));
    return sequence;
}

template <int kSize>
void check_selection() {
    Random random(kSize);
    for (int k = 1; k < kSize; ++k)
        run<kSize>([&](int) { return draw_sequence(kSize, random); },
                   [&](Int16s* vectors, const auto& sorted) {
                       const auto found = isa::select_neighbours<kSize>(vectors, k);
                       const auto rank = static_cast<std::size_t>(k);
                       for (int lane = 0; lane < kLanes; ++lane) {
                           const auto& values = sorted[static_cast<std::size_t>(lane)];
                           TNM_CHECK_EQUAL(int{found.upper[lane]}, values[rank - 1]);
                           TNM_CHECK_EQUAL(int{found.lower[lane]}, values[rank]);
                       }
                   });
}

void test_selects_every_rank() {
    for (int repeat = 0; repeat < 3; ++repeat) {
        check_selection<4>();
        check_selection<8>();
        check_selection<16>();
        check_selection<32>();
        check_selection<64>();
    }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"sorts_zeros_and_ones", test_sorts_zeros_and_ones},
                         {"selects_every_rank", test_selects_every_rank},
                     });
}

}  // namespace tnm::test
