// Where the time of a strip goes: the stages of the library's own kernels, timed one by one.
#define TNM_ISA measured
#include <algorithm>
#include <chrono>
#include <cstdint>

#include "fast_path/kernels/dual/solve_strip-inl.hpp"
#include "fast_path/kernels/strip/load_strip-inl.hpp"
#include "fast_path/kernels/strip/store_strip-inl.hpp"

namespace {

using namespace tnm;
using namespace tnm::measured;

enum Stage { kLoad, kQuantize, kTranspose, kPrices, kThreshold, kBalance, kStore, kStages };

std::uint64_t ticks() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return std::chrono::steady_clock::now().time_since_epoch().count();
#endif
}

class Stopwatch {
  public:
    void lap(Stage stage) {
        const std::uint64_t now = ticks();
        spent[stage] += now - last_;
        last_ = now;
    }
    void start() { last_ = ticks(); }
    std::uint64_t spent[kStages] = {};

  private:
    std::uint64_t last_ = 0;
};

template <int kW>
void run_strip(const float* weights, std::int64_t columns, std::uint8_t* mask, Stopwatch& watch,
               std::int64_t& searched) {
    constexpr Pattern kPattern{kW / 2, kW};
    static StripScores<float> scores;
    static StripState state;
    static StripSolution solution;
    const auto* data = reinterpret_cast<const std::byte*>(weights);
    const Prefetcher prefetcher(
        {data + kStripColumns * 4, columns * 4, kStripColumns * 4, kW},
        {reinterpret_cast<const std::byte*>(mask), columns, kStripColumns, kW});
    watch.start();
    load_strip<0, Dtype::float32, Score::abs>(data, columns * 4, kW, scores);
    watch.lap(kLoad);
    quantize<kW>(scores, kPattern, state.quantized);
    start_from_column_means<kW>(state.quantized.by_row, state.prices.columns);
    watch.lap(kQuantize);
    transpose_tiles<kW>(state.quantized.by_row, state.quantized.by_column);
    watch.lap(kTranspose);
    propose_prices<kW, kW / 2>(state.quantized, nullptr, kW / 2, prefetcher, state.prices);
    watch.lap(kPrices);
    const std::uint64_t tied =
        threshold<kW>(scores.values, state.quantized, state.prices, kW, state.thresholded);
    solution.wants_prices = false;
    accept<kW>(state.proposal(), ~std::uint64_t{0}, solution);
    const std::uint64_t unbalanced = unbalanced_tiles<kW>(state.thresholded, kPattern) & ~tied;
    watch.lap(kThreshold);
    solution.unsolved = tied;
    balance_tiles<kW, Ties::few>(scores.values, unbalanced, kPattern, state.proposal(), kW / 2,
                                 solution);
    if (solution.unsolved != 0)
        solve_tied_tiles<kW, false>(scores.values, solution.unsolved, kPattern, state, solution);
    searched += __builtin_popcountll(unbalanced | tied);
    watch.lap(kBalance);
    store_strip(solution.kept, kW, mask, columns);
    watch.lap(kStore);
}

template <int kW>
std::int64_t run(const float* weights, std::int64_t rows, std::int64_t columns, std::uint8_t* mask,
                 double* shares) {
    Stopwatch watch;
    std::int64_t searched = 0;
    for (std::int64_t i = 0; i + kW <= rows; i += kW)
        for (std::int64_t j = 0; j + kStripColumns <= columns; j += kStripColumns)
            run_strip<kW>(weights + i * columns + j, columns, mask + i * columns + j, watch,
                          searched);
    std::uint64_t total = 0;
    for (const std::uint64_t spent : watch.spent) total += spent;
    for (int s = 0; s < kStages; ++s)
        shares[s] = static_cast<double>(watch.spent[s]) / static_cast<double>(total);
    return searched;
}

}  // namespace

// Writes what share of the time each stage takes; returns how many tiles needed a search, or -1.
extern "C" std::int64_t measure_stages(const float* weights, std::int64_t rows,
                                       std::int64_t columns, int m, std::uint8_t* mask,
                                       double* shares) {
    switch (m) {
        case 8:
            return run<8>(weights, rows, columns, mask, shares);
        case 16:
            return run<16>(weights, rows, columns, mask, shares);
        case 32:
            return run<32>(weights, rows, columns, mask, shares);
        case 64:
            return run<64>(weights, rows, columns, mask, shares);
        default:
            return -1;
    }
}
