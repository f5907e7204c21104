// Sweeps over the prices of one side, and the whole schedule of them.
#include "fast_path/kernels/dual/price_sweeps-inl.hpp"

#include "fast_path/kernels/dual/prices.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;
using isa::Overshoot;

int eighths_of(Overshoot share) {
    constexpr int kEighths[] = {0, 2, 3, 4};
    return kEighths[static_cast<int>(share)];
}

constexpr std::array kShares = {Overshoot::none, Overshoot::quarter, Overshoot::three_eighths,
                                Overshoot::half};

// Arguments of one sweep.
struct SweepCase {
    Pattern pattern;
    Overshoot share = Overshoot::none;
    alignas(64) std::int16_t lines[kLargestStripM * kStripColumns];
    alignas(64) std::int16_t other_prices[kStripColumns], prices[kStripColumns];
    alignas(64) std::int16_t real_lanes[kStripColumns];

    SweepCase(Pattern of, Overshoot overshoot, int range, Random& random)
        : pattern(of), share(overshoot) {
        draw_lines(of.m, range, random, lines);
        draw_prices(of.m, range, random, other_prices);
        draw_prices(of.m, range, random, prices);
        for (int c = 0; c < kStripColumns; ++c)
            real_lanes[c] = c % field_width(of.m) < of.m ? -1 : 0;
    }
    bool padded() const { return pattern.m < field_width(pattern.m); }
    const std::int16_t* real() const { return padded() ? real_lanes : nullptr; }
    naive::SweepPlan plan() const { return {pattern.m, pattern.n, eighths_of(share)}; }
};

// Small ranges are full of ties; in the largest, sums of prices reach the ends of 16 bits.
constexpr std::array kRanges = {0, 3, 300, isa::kPriceBound + 0};

template <class Check>
void for_each_case(std::initializer_list<int> widths, Check&& check) {
    Random random(2);
    for (const Pattern pattern : kStripPatterns)
        for (const int range : kRanges)
            for (const Overshoot share : kShares) {
                if (std::find(widths.begin(), widths.end(), field_width(pattern.m)) == widths.end())
                    continue;
                const Given given([&] {
                    return join("pattern ", pattern.n, ":", pattern.m, ", range ", range,
                                ", overshoot ", eighths_of(share), "/8");
                });
                check(SweepCase(pattern, share, range, random));
            }
}

// Compares the prices of all fields with those that twin(lines, other prices, prices) leaves.
template <class Twin>
void check_prices(const SweepCase& before, const std::int16_t* after, Twin&& twin) {
    const int width = field_width(before.pattern.m);
    for (int first = 0; first < kStripColumns; first += width) {
        std::vector<int> prices = field_of(before.prices, width, first);
        twin(lines_of(before.lines, width, first), field_of(before.other_prices, width, first),
             prices);
        TNM_CHECK(prices == field_of(after, width, first));
    }
}

void test_sweep_by_sorting() {
    for_each_case({4, 8, 16, 32, 64}, [](const SweepCase& given) {
        by_field_width(given.pattern.m, [&]<int kW>() {
            const auto check = [&]<int kN>() {
                SweepCase sweep = given;
                isa::sweep_side<kW, kN>(sweep.lines, sweep.other_prices, sweep.real(),
                                        sweep.pattern.n, sweep.share, sweep.prices);
                check_prices(given, sweep.prices,
                             [&](const auto& lines, const auto& other, auto& prices) {
                                 naive::sweep_side(lines, other, given.plan(), prices);
                             });
            };
            check.template operator()<0>();
            if (given.pattern.n == kW / 2) check.template operator()<kW / 2>();
        });
    });
}

// The last sweep takes the midpoint: where nothing ties, exactly n entries are above their prices.
void test_midpoint_keeps_n() {
    for_each_case({4, 8, 16, 32, 64}, [](const SweepCase& given) {
        if (given.share != Overshoot::none) return;
        by_field_width(given.pattern.m, [&]<int kW>() {
            SweepCase sweep = given;
            isa::sweep_side<kW, 0>(sweep.lines, sweep.other_prices, sweep.real(), sweep.pattern.n,
                                   Overshoot::none, sweep.prices);
            for (int c = 0; c < kStripColumns; ++c) {
                const int lane = c % kW, first = c - lane, n = given.pattern.n;
                if (lane >= given.pattern.m) continue;
                const auto values =
                    naive::sorted_values(lines_of(sweep.lines, kW, first),
                                         field_of(sweep.other_prices, kW, first), lane);
                const auto nth = values.begin() + n;
                const int price = sweep.prices[c];
                if (nth[-1] - *nth < 2 || std::abs(price) == isa::kPriceBound) continue;
                TNM_CHECK(nth[-1] >= price && price > *nth);
            }
        });
    });
}

void test_sweep_to_the_nearest() {
    int good = 0, total = 0;
    for_each_case({64}, [&](const SweepCase& drawn) {
        for (const int near : {1, 3, 10, 30, 100, 1000}) {
            SweepCase given = drawn;
            // From prices at their place, and then from some that are off.
            isa::sweep_side<64, 0>(given.lines, given.other_prices, given.real(), given.pattern.n,
                                   Overshoot::none, given.prices);
            Random random(static_cast<std::uint64_t>(near));
            for (int c = 0; c < given.pattern.m; ++c)
                given.prices[c] = static_cast<std::int16_t>(
                    std::clamp(given.prices[c] + random.between(-near, near), -isa::kPriceBound,
                               isa::kPriceBound + 0));
            SweepCase sweep = given;
            const bool goes_on =
                isa::sweep_side_near<64>(sweep.lines, sweep.other_prices, sweep.real(),
                                         sweep.pattern.n, sweep.share, sweep.prices);
            check_prices(
                given, sweep.prices, [&](const auto& lines, const auto& other, auto& prices) {
                    TNM_CHECK_EQUAL(goes_on,
                                    naive::sweep_side_near(lines, other, given.plan(), prices));
                });
            good += goes_on;
            ++total;
        }
    });
    TNM_CHECK(total / 5 < good && good < total * 4 / 5);
}

void test_start_from_column_means() {
    for_each_strip(1, []<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        auto strip = std::make_unique<isa::QuantizedStrip>();
        isa::quantize<kW>(scores, pattern, *strip);
        std::int16_t prices[kStripColumns];
        isa::start_from_column_means<kW>(strip->by_row, prices);
        for (int first = 0; first < kStripColumns; first += kW)
            TNM_CHECK(field_of(prices, kW, first) ==
                      naive::start_from_column_means(lines_of(strip->by_row, kW, first)));
    });
}

// The schedule by naive sweeps.
template <int kW>
void propose_naively(const naive::Lines& by_row, const naive::Lines& by_column, Pattern pattern,
                     std::vector<int>& rows, std::vector<int>& columns) {
    bool near_enough = true;
    rows.assign(rows.size(), 0);
    for (const isa::Sweep& planned : isa::kSchedule<kW>) {
        const naive::SweepPlan plan{pattern.m, pattern.n, eighths_of(planned.share)};
        const auto sweep = [&](const auto& lines, const auto& other, auto& prices) {
            if (planned.kind == isa::Sweep::near && near_enough)
                near_enough = naive::sweep_side_near(lines, other, plan, prices);
            else
                naive::sweep_side(lines, other, plan, prices);
        };
        sweep(by_column, columns, rows);
        sweep(by_row, rows, columns);
    }
}

void test_schedule() {
    for_each_strip(1, []<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        const auto start = quantized_strip<kW>(scores, pattern);
        auto proposed = quantized_strip<kW>(scores, pattern);
        isa::propose_prices<kW, 0>(proposed->quantized, proposed->real(), pattern.n, {},
                                   proposed->prices);
        const isa::QuantizedStrip& strip = start->quantized;
        for (int first = 0; first < kStripColumns; first += kW) {
            std::vector<int> rows = field_of(start->prices.rows, kW, first);
            std::vector<int> columns = field_of(start->prices.columns, kW, first);
            propose_naively<kW>(lines_of(strip.by_row, kW, first),
                                lines_of(strip.by_column, kW, first), pattern, rows, columns);
            TNM_CHECK(rows == field_of(proposed->prices.rows, kW, first));
            TNM_CHECK(columns == field_of(proposed->prices.columns, kW, first));
        }
    });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"sweep_by_sorting", test_sweep_by_sorting},
                         {"midpoint_keeps_n", test_midpoint_keeps_n},
                         {"sweep_to_the_nearest", test_sweep_to_the_nearest},
                         {"start_from_column_means", test_start_from_column_means},
                         {"schedule", test_schedule},
                     });
}

}  // namespace tnm::test
