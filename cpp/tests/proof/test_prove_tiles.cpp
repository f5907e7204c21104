// The kernels of the proof against the sums of one tile, on masks and prices that are right, nearly
// right and wrong.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "proof/proof_kernels.hpp"
#include "proof/prove_tile.hpp"
#include "solvers/exact/optimal_solver.hpp"
#include "support/check.hpp"
#include "support/values.hpp"

namespace tnm::test {
namespace {

constexpr int kLanes = TilesInLanes<float>::kCount;

int width_of(int m) {
    return std::max(4, static_cast<int>(std::bit_ceil(static_cast<unsigned>(m))));
}

// One tile, solved; then something may be changed.
struct SolvedTile {
    std::vector<double> values;
    ScoreTile scores;
    TileMask mask;
    TilePrices prices;
    bool is_valid = true;  // n in every row and column, and finite prices

    SolvedTile(Pattern pattern, Distribution distribution, Dtype dtype, Random& random) {
        for (int i = 0; i < pattern.m; ++i)
            for (int j = 0; j < pattern.m; ++j) {
                const double value = draw(distribution, dtype, i, j, random);
                values.push_back(dtype == Dtype::float32 ? static_cast<float>(value) : value);
            }
        scores = {values.data(), pattern.m, pattern.m, pattern.m, pattern};
        OptimalSolver().solve(scores, mask, &prices);
        for (int k = 0; k < pattern.m; ++k) {
            prices.row[k] = std::ldexp(prices.row[k], prices.exponent);
            prices.column[k] = std::ldexp(prices.column[k], prices.exponent);
        }
        prices.exponent = 0;
    }

    void flip(int i, int j) {
        if (mask.test(i, j))
            mask.clear(i, j);
        else
            mask.set(i, j);
    }

    void change(int what, Random& random) {
        const int m = scores.pattern.m, i = random.between(0, m - 1), j = random.between(0, m - 1);
        double& price = random.between(0, 1) == 0 ? prices.row[i] : prices.column[j];
        switch (what) {
            case 0:
                if (price != 0.0)
                    price = std::nextafter(price, std::numeric_limits<double>::infinity());
                break;
            case 1:
                if (price != 0.0)
                    price = std::nextafter(price, -std::numeric_limits<double>::infinity());
                break;
            case 2:
                price *= random.between(0, 1) == 0 ? 1 + 0x1p-22 : 1 - 0x1p-22;
                break;
            case 3:
                price = std::numeric_limits<double>::quiet_NaN();
                is_valid = false;
                break;
            case 4:
                price = std::numeric_limits<double>::infinity();
                is_valid = false;
                break;
            case 5:  // another count
                flip(i, j);
                is_valid = false;
                break;
            case 6:  // right counts in columns alone
                if (mask.test(i, j) == mask.test((i + 1) % m, j)) break;
                flip(i, j);
                flip((i + 1) % m, j);
                is_valid = false;
                break;
            case 7:  // right counts in rows alone
                if (mask.test(i, j) == mask.test(i, (j + 1) % m)) break;
                flip(i, j);
                flip(i, (j + 1) % m);
                is_valid = false;
                break;
            case 8:  // another mask, if there is one that near
                if (mask.test(i, j) == mask.test((i + 1) % m, j) ||
                    mask.test(i, j) == mask.test(i, (j + 1) % m) ||
                    mask.test(i, j) != mask.test((i + 1) % m, (j + 1) % m))
                    break;
                for (const int a : {i, (i + 1) % m})
                    for (const int b : {j, (j + 1) % m}) flip(a, b);
                break;
            default: {  // the same proof, but for rounding
                const double shift = random.normal() * scores(i, j);
                for (int k = 0; k < m; ++k) {
                    prices.row[k] += shift;
                    prices.column[k] -= shift;
                }
            }
        }
    }
};

template <class T>
void check_strip(const std::vector<SolvedTile>& solved, Pattern pattern) {
    const int m = pattern.m, width = width_of(m), tiles = static_cast<int>(solved.size());
    std::vector<T> scores(static_cast<std::size_t>(m) * kLanes);
    std::vector<std::uint64_t> kept(static_cast<std::size_t>(m));
    // What lies beyond a tile's prices must not matter.
    std::vector<double> rows(kLanes, std::nan("")), columns(kLanes, std::nan(""));
    std::vector<std::int64_t> indices(kLanes);
    for (int t = 0; t < tiles; ++t)
        for (int i = 0; i < m; ++i) {
            rows[t * width + i] = solved[t].prices.row[i];
            columns[t * width + i] = solved[t].prices.column[i];
            kept[i] |= solved[t].mask.word(i, 0) << t * width;
            for (int j = 0; j < m; ++j)
                scores[i * kLanes + t * width + j] = static_cast<T>(solved[t].scores(i, j));
        }
    double totals[kLanes];
    const std::uint64_t proven =
        proof_kernels().of(T{})({pattern, tiles, width, scores.data(), kept.data(), rows.data(),
                                 columns.data(), indices.data()},
                                totals);
    for (int t = 0; t < tiles; ++t) {
        const TileProof proof = prove_tile(solved[t].scores, solved[t].mask, solved[t].prices);
        const Given given([&] {
            return join(pattern.n, ":", m, " tile ", t, " gap ", proof.gap, " primal ",
                        proof.primal);
        });
        const bool expected = solved[t].is_valid && proof.gap == 0.0 && std::isfinite(proof.primal);
        TNM_CHECK_EQUAL(proven >> t & 1, static_cast<std::uint64_t>(expected));
        if (!expected) continue;
        TNM_CHECK_EQUAL(totals[t], proof.primal);
        TNM_CHECK_EQUAL(totals[t], proof.dual);
    }
}

template <class T>
void check_all(Dtype dtype) {
    Random random(7);
    for (const auto& [n, m] :
         {std::pair{1, 2}, std::pair{2, 3}, std::pair{1, 4}, std::pair{2, 4}, std::pair{3, 4},
          std::pair{3, 7}, std::pair{4, 8}, std::pair{5, 12}, std::pair{8, 16}, std::pair{9, 20},
          std::pair{16, 32}, std::pair{30, 50}, std::pair{32, 64}})
        for (const Distribution distribution : kDistributions)
            for (int round = 0; round < 30; ++round) {
                std::vector<SolvedTile> solved;
                const int most = kLanes / width_of(m);
                solved.reserve(static_cast<std::size_t>(most));
                for (int t = 0; t < (round == 0 ? most : random.between(1, most)); ++t) {
                    solved.emplace_back(Pattern{n, m}, distribution, dtype, random);
                    if (round > 1)
                        solved.back().change(round < 8 ? random.between(0, 8) : 9, random);
                }
                check_strip<T>(solved, {n, m});
            }
}

void test_floats() {
    check_all<float>(Dtype::float32);
}
void test_doubles() {
    check_all<double>(Dtype::float64);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv, {{"floats", test_floats}, {"doubles", test_doubles}});
}
