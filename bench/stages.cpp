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

enum Stage {
    kLoad,
    kQuantize,
    kTranspose,
    kPrices,
    kThreshold,
    kTies,
    kBalance,
    kFloats,
    kStore,
    kStages
};

// Of all tiles: how many were tied when they were first tried, how many needed a search, how many
// units searches sent, how many are wide, and how many tiles the kernels leave to others.
struct Found {
    std::int64_t tied, searched, units, wide, left;
};

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
std::int64_t missing_units(const ThresholdedStrip& strip, std::uint64_t tiles) {
    std::int64_t units = 0;
    for (; tiles != 0; tiles &= tiles - 1) {
        const int first = __builtin_ctzll(tiles) * kW;
        for (int k = 0; k < kW; ++k) {
            units += std::max(0, kW / 2 - popcount(strip.kept[k] >> first & kFieldMask<kW>));
            units += std::max(0, strip.column_counts[first + k] - kW / 2);
        }
    }
    return units;
}

// The stages of solve_strip(), for tiles for which 16 bits are enough.
template <int kW>
class Strip {
  public:
    void run(const float* weights, std::int64_t columns, std::uint8_t* mask) {
        const auto* data = reinterpret_cast<const std::byte*>(weights);
        const Prefetcher prefetcher(
            {data + kStripColumns * 4, columns * 4, kStripColumns * 4, kW},
            {reinterpret_cast<const std::byte*>(mask), columns, kStripColumns, kW});
        watch.start();
        load_strip<0, Dtype::float32, Score::abs>(data, columns * 4, kW, loaded_);
        watch.lap(kLoad);
        const float* scores = quantize_strip();
        watch.lap(kQuantize);
        solution_.wants_prices = false;
        solution_.unsolved = 0;
        const std::uint64_t wide = any_in_field<kW>(state_.quantized.wide);
        if (wide != ~std::uint64_t{0} >> (64 - kStripColumns / kW))
            solve_quantized(scores, ~wide, prefetcher);
        watch.start();
        if (wide != 0) solve_wide_tiles<kW, kW / 2>(loaded_, wide, kPattern, solution_);
        watch.lap(kFloats);
        found.wide += __builtin_popcountll(wide);
        found.left += __builtin_popcountll(solution_.unsolved);
        store_strip(solution_.kept, kW, mask, columns);
        watch.lap(kStore);
    }

    Stopwatch watch;
    Found found{};

  private:
    static constexpr Pattern kPattern{kW / 2, kW};

    void solve_quantized(const float* scores, std::uint64_t tiles, const Prefetcher& prefetcher) {
        transpose_tiles<kW>(state_.quantized.by_row, state_.quantized.by_column);
        watch.lap(kTranspose);
        propose_prices<kW, kW / 2>(state_.quantized, nullptr, kW / 2, prefetcher, state_.prices);
        watch.lap(kPrices);
        solution_.unsolved =
            tiles & threshold<kW>(scores, state_.quantized, state_.prices, kW, state_.thresholded);
        accept<kW>(state_.proposal(), ~std::uint64_t{0}, solution_);
        std::uint64_t searched = unbalanced_tiles<kW>(state_.thresholded, kPattern) & tiles;
        searched &= ~solution_.unsolved;
        watch.lap(kThreshold);
        balance<Ties::few>(scores, searched, kW / 2);
        found.tied += __builtin_popcountll(solution_.unsolved);
        if (solution_.unsolved != 0) searched |= solve_tied(scores);
        found.searched += __builtin_popcountll(searched);
    }

    // Returns what the integers were made from.
    const float* quantize_strip() {
        quantize<kW>(loaded_, kPattern, state_.quantized);
        const float* scores = loaded_.values;
        if constexpr (kScattersTies<kW>)
            if (may_be_on_lattice<kW>(state_.quantized)) scores = scatter_ties();
        start_from_column_means<kW>(state_.quantized.by_row, state_.prices.columns);
        return scores;
    }
    const float* scatter_ties() {
        std::uint64_t exact[kW];
        alignas(64) std::int16_t price_bits[kStripColumns];
        find_exact_entries<kW>(loaded_.values, state_.quantized, exact);
        find_lattices<kW>(state_.quantized, exact, kW, price_bits);
        const std::uint64_t coarse = scatterable_tiles<kW>(state_.quantized, price_bits, kW);
        if (coarse == 0) return loaded_.values;
        scatter<kW>(loaded_.values, price_bits, lanes_of_tiles<kW>(coarse), state_.quantized,
                    scattered_);
        return scattered_;
    }

    // What solve_tied_tiles() does before it balances; returns the tiles on a lattice.
    std::uint64_t fill_tied(const float* scores, std::uint64_t tiles) {
        std::uint64_t exact[kW];
        alignas(64) std::int16_t price_bits[kStripColumns];
        QuantizedStrip& strip = state_.quantized;
        StripPrices& prices = state_.prices;
        find_exact_entries<kW>(scores, strip, exact);
        find_lattices<kW>(strip, exact, kW, price_bits);
        for (int c = 0; c < kStripColumns; ++c)
            prices.columns[c] = static_cast<std::int16_t>(prices.columns[c] & price_bits[c]);
        sweep_side_to_nth<kW>(strip.by_column, prices.columns, nullptr, price_bits, kW / 2,
                              prices.rows);
        sweep_side_to_nth<kW>(strip.by_row, prices.rows, nullptr, price_bits, kW / 2,
                              prices.columns);
        threshold_with_ties<kW>(scores, strip, prices, exact, state_.thresholded);
        fill_tight<kW>(tiles, kPattern, state_.thresholded);
        return tiles_on_lattice<kW>(price_bits);
    }

    // Returns the tiles that needed a search after the second attempt.
    std::uint64_t solve_tied(const float* scores) {
        const std::uint64_t tiles = solution_.unsolved;
        const std::uint64_t on_lattice = fill_tied(scores, tiles);
        accept<kW>(state_.proposal(), lanes_of_tiles<kW>(tiles), solution_);
        solution_.unsolved = 0;
        const std::uint64_t unbalanced = unbalanced_tiles<kW>(state_.thresholded, kPattern) & tiles;
        watch.lap(kTies);
        balance<Ties::many>(scores, unbalanced & on_lattice, kW * kW);
        balance<Ties::many>(scores, unbalanced & ~on_lattice, 2 * kW);
        return unbalanced;
    }

    template <Ties kTies>
    void balance(const float* scores, std::uint64_t tiles, int limit) {
        found.units += missing_units<kW>(state_.thresholded, tiles);
        watch.start();
        balance_tiles<kW, kTies>(scores, tiles, kPattern, state_.proposal(), limit, solution_);
        watch.lap(kBalance);
    }

    StripScores<float> loaded_;
    StripState state_;
    StripSolution solution_;
    alignas(64) float scattered_[kW * kStripColumns];
};

template <int kW>
void run(const float* weights, std::int64_t rows, std::int64_t columns, std::uint8_t* mask,
         double* shares, Found& found) {
    static Strip<kW> strip;
    strip.watch = {};
    strip.found = {};
    for (std::int64_t i = 0; i + kW <= rows; i += kW)
        for (std::int64_t j = 0; j + kStripColumns <= columns; j += kStripColumns)
            strip.run(weights + i * columns + j, columns, mask + i * columns + j);
    std::uint64_t total = 0;
    for (const std::uint64_t spent : strip.watch.spent) total += spent;
    for (int s = 0; s < kStages; ++s)
        shares[s] = static_cast<double>(strip.watch.spent[s]) / static_cast<double>(total);
    found = strip.found;
}

}  // namespace

// Writes what share of the time each stage takes, and what there was; m = 8, 16, 32 or 64.
extern "C" void measure_stages(const float* weights, std::int64_t rows, std::int64_t columns, int m,
                               std::uint8_t* mask, double* shares, Found* found) {
    switch (m) {
        case 8:
            return run<8>(weights, rows, columns, mask, shares, *found);
        case 16:
            return run<16>(weights, rows, columns, mask, shares, *found);
        case 32:
            return run<32>(weights, rows, columns, mask, shares, *found);
        default:
            return run<64>(weights, rows, columns, mask, shares, *found);
    }
}
