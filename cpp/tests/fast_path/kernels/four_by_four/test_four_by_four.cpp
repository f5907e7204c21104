// The closed forms of 4 x 4 tiles, of vectors and of loaded strips.
#include "fast_path/kernels/four_by_four/closed_form-inl.hpp"

#include <numeric>

#include "fast_path/kernels/four_by_four/run-inl.hpp"
#include "fast_path/kernels/four_by_four/strip-inl.hpp"
#include "fast_path/kernels/strips.hpp"
#include "reference/fast_path/four_by_four.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

constexpr std::array kPatterns = {Pattern{1, 4}, Pattern{2, 4}, Pattern{3, 4}};

// Whatever is far below the sums that decide.
long double rounding_of(const Tile& tile) {
    long double sum = 0.0L;
    for (const double score : tile.scores) sum += std::fabs(static_cast<long double>(score));
    return sum * 0x1p-50L;
}

// The first of the best masks; where sums are not exact in double, one that is as good.
void check_best(const Tile& tile, const Flags& kept) {
    const Given given([&] { return tile.description(); });
    const naive::BestOfFour best = naive::four_by_four(tile);
    TNM_CHECK(obeys_pattern(tile, kept));
    if (as_integers(tile))
        TNM_CHECK(kept == best.kept);
    else
        TNM_CHECK(total(tile, kept) >= total(tile, best.kept) - rounding_of(tile));
}

// Few values, so that most tiles tie.
template <class T>
std::unique_ptr<StripScores<T>> draw_ties(Random& random) {
    const int low = random.between(-2, 0), high = random.between(1, 3);
    return make_strip<T>(4, [&](int, int) { return random.between(low, high); });
}

// Calls check(strip of floats or doubles).
template <class Check>
void for_each_strip_of_four(Check&& check) {
    Random random(12);
    for (int repeat = 0; repeat < 10; ++repeat) {
        check(*draw_strip<float>(4, random));
        check(*draw_strip<double>(4, random));
        check(*draw_ties<float>(random));
        check(*draw_ties<double>(random));
    }
}

template <class T>
void check_kept(const StripScores<T>& scores, Pattern pattern, MaskStrip<T> mask) {
    std::uint64_t kept[4];
    mask(scores.values, pattern, kept);
    for (int tile = 0; tile < kStripColumns / 4; ++tile)
        check_best(tile_of(scores, pattern, tile), flags_of(kept, 4, tile));
}

void test_loaded_strips() {
    for_each_strip_of_four([]<class T>(const StripScores<T>& scores) {
        for (const Pattern pattern : kPatterns) {
            check_kept(scores, pattern, isa::four_by_four<T>(pattern));
        }
    });
}

// A thirtieth of all tiles of zeros and ones.
void test_zeros_and_ones() {
    for (unsigned tiles = 0; tiles < 65536; tiles += 31 * kStripColumns / 4) {
        const auto scores = make_strip<float>(4, [&](int i, int c) {
            return (tiles + static_cast<unsigned>(c / 4)) >> (4 * i + c % 4) & 1U;
        });
        for (const Pattern pattern : kPatterns)
            check_kept(*scores, pattern, isa::four_by_four<float>(pattern));
    }
}

// The lead is twice the closest call: sums of signs count each entry twice.
void test_lead_is_the_closest_call() {
    int certain = 0, tiles = 0;
    for_each_strip_of_four([&]<class T>(const StripScores<T>& scores) {
        for (int first = 0; first < kStripColumns / 4; first += isa::kLanes<isa::Doubles>) {
            isa::Doubles entry[4][4], lead;
            isa::gather_tiles(scores.values, first, entry);
            isa::two_of_four(entry, &lead);
            for (int lane = 0; lane < isa::kLanes<isa::Doubles>; ++lane) {
                const Tile tile = tile_of(scores, {2, 4}, first + lane);
                if (!as_integers(tile)) continue;
                const naive::BestOfFour best = naive::four_by_four(tile);
                TNM_CHECK_EQUAL(static_cast<long double>(lead[lane]), 2 * best.closest);
                certain += lead[lane] > 0;
                ++tiles;
            }
        }
    });
    TNM_CHECK(tiles / 5 < certain && certain < tiles);
}

// Floats decide where the lead is above all rounding, and the sum of magnitudes below the limit.
void test_floats_are_uncertain_near_ties() {
    Random random(17);
    int certain = 0, tiles = 0;
    for (int repeat = 0; repeat < 100; ++repeat) {
        isa::Floats entry[4][4];
        isa::Int32s uncertain;
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                for (int lane = 0; lane < isa::kLanes<isa::Floats>; ++lane)
                    entry[i][j][lane] = static_cast<float>(1000000 + random.between(-50, 50));
        // At the sum of the first tile, which must be below it.
        isa::Floats sum_of_tile{};
        for (const auto& row : entry)
            for (const isa::Floats& scores : row) sum_of_tile += scores;
        const float limit = repeat % 2 ? sum_of_tile[0] : __builtin_inff();
        isa::mask_from_floats<2, Score::identity>(entry, limit, &uncertain);
        for (int lane = 0; lane < isa::kLanes<isa::Floats>; ++lane, ++tiles) {
            Tile tile{4, 4, {2, 4}, {}};
            for (const auto& row : entry)
                for (const isa::Floats& scores : row)
                    tile.scores.push_back(static_cast<double>(scores[lane]));
            const double sum = std::accumulate(tile.scores.begin(), tile.scores.end(), 0.0);
            const bool decided = 2 * naive::four_by_four(tile).closest > sum * 0x1p-20 &&
                                 sum < static_cast<double>(limit);
            TNM_CHECK_EQUAL(uncertain[lane] == 0, decided);
            certain += decided;
        }
    }
    TNM_CHECK(tiles / 10 < certain && certain < tiles);
}

// Lane t of column j, put in order, is column j of tile t.
void test_columns_of_tiles() {
    constexpr int kLanes = isa::kLanes<isa::Floats>;
    std::vector<float> words;
    std::vector<std::uint16_t> halves;
    for (int k = 0; k < 4 * kLanes; ++k) {
        words.push_back(static_cast<float>(k));
        halves.push_back(static_cast<std::uint16_t>(k + 0x3f80));
    }
    const auto bytes = [](const auto& values) {
        return reinterpret_cast<const std::byte*>(values.data());
    };
    isa::Floats of_words[4], of_halves[4];
    isa::load_columns<Dtype::float32, Score::identity>(bytes(words), of_words);
    isa::load_columns<Dtype::bfloat16, Score::identity>(bytes(halves), of_halves);
    for (int j = 0; j < 4; ++j) {
        const auto in_words = isa::in_tile_order<isa::TileOrder::from_words>(
            reinterpret_cast<isa::Int32s>(of_words[j]));
        const auto in_halves = isa::in_tile_order<isa::TileOrder::from_halves>(
            reinterpret_cast<isa::Int32s>(of_halves[j]));
        for (int t = 0; t < kLanes; ++t) {
            TNM_CHECK_EQUAL(reinterpret_cast<isa::Floats>(in_words)[t],
                            static_cast<float>(4 * t + j));
            TNM_CHECK_EQUAL(in_halves[t] >> 16, 4 * t + j + 0x3f80);
        }
    }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"loaded_strips", test_loaded_strips},
                         {"zeros_and_ones", test_zeros_and_ones},
                         {"lead_is_the_closest_call", test_lead_is_the_closest_call},
                         {"floats_are_uncertain_near_ties", test_floats_are_uncertain_near_ties},
                         {"columns_of_tiles", test_columns_of_tiles},
                     });
}

}  // namespace tnm::test
