#include "support/verify.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/optimum.hpp"
#include "support/check.hpp"

namespace tnm::test {
namespace {

constexpr double kWorstGap = 1e-9;
constexpr int kFlowLimit = 20;
constexpr int kBruteForceEntries = 16;

struct ScaledProof {
    long double primal = 0, dual = 0, magnitude = 0;
    long double rounding = 0;  // of this recomputation itself
};

// In units of 2^exponent, so that nothing overflows or vanishes.
ScaledProof recompute(const Tile& tile, const Flags& kept, const double* u, const double* v,
                      int exponent) {
    const auto scaled = [&](double value) {
        return std::ldexp(static_cast<long double>(value), -exponent);
    };
    ScaledProof proof;
    proof.rounding =
        std::numeric_limits<long double>::epsilon() * (tile.rows + 1) * (tile.columns + 1);
    for (int i = 0; i < tile.rows; ++i) proof.dual += tile.pattern.n * scaled(u[i]);
    for (int j = 0; j < tile.columns; ++j) proof.dual += tile.pattern.n * scaled(v[j]);
    for (int i = 0; i < tile.rows; ++i) {
        for (int j = 0; j < tile.columns; ++j) {
            const long double score = scaled(tile(i, j));
            proof.dual += std::max(0.0L, score - scaled(u[i]) - scaled(v[j]));
            if (!kept[static_cast<std::size_t>(i * tile.columns + j)]) continue;
            proof.primal += score;
            proof.magnitude += std::fabs(score);
        }
    }
    return proof;
}

int exponent_of_largest(const Tile& tile) {
    double largest = 0.0;
    for (const double score : tile.scores) largest = std::max(largest, std::fabs(score));
    int exponent = 0;
    if (largest > 0.0) std::frexp(largest, &exponent);
    return exponent;
}

void check_prices(const Tile& tile, const double* prices, int count) {
    for (int k = 0; k < tile.pattern.m; ++k) {
        TNM_CHECK(std::isfinite(prices[k]));
        if (!tile.full() && k < count) TNM_CHECK(prices[k] >= 0.0);
        if (k >= count) TNM_CHECK_EQUAL(prices[k], 0.0);
    }
}

// Reported values are rounded to double, and beyond the largest double they are infinite.
void check_reported(double reported, long double expected, const ScaledProof& proof, int exponent) {
    const long double true_value = std::ldexp(expected, exponent);
    if (std::fabs(true_value) > std::numeric_limits<double>::max()) {
        TNM_CHECK(std::fabs(reported) >= 0.999 * std::numeric_limits<double>::max());
        return;
    }
    const long double error = std::ldexp(reported - true_value, -exponent);
    const long double smallest = std::numeric_limits<double>::denorm_min();
    TNM_CHECK(std::fabs(error) <= 1e-12L * (proof.magnitude + std::fabs(expected)) +
                                      proof.rounding + std::ldexp(smallest, -exponent));
}

void check_certificate(const Tile& tile, const Flags& kept, const Certificate& certificate,
                       std::size_t t) {
    const auto m = static_cast<std::size_t>(tile.pattern.m);
    const double* u = certificate.row_prices.data() + t * m;
    const double* v = certificate.column_prices.data() + t * m;
    check_prices(tile, u, tile.rows);
    check_prices(tile, v, tile.columns);
    // Beyond what doubles hold, tests/masks/test_exact.py has integers to check with.
    if (certificate.offset[t] != 0.0 || certificate.exponent[t] != 0) {
        TNM_CHECK(certificate.gap[t] >= 0.0 && certificate.gap[t] <= kWorstGap);
        return;
    }
    const int exponent = exponent_of_largest(tile);
    const ScaledProof proof = recompute(tile, kept, u, v, exponent);
    const long double gap = proof.dual - proof.primal;
    const Given given([&] {
        return join("recomputed gap ", gap, " of magnitude ", proof.magnitude, ", reported gap ",
                    certificate.gap[t], ", primal ", certificate.primal[t], ", dual ",
                    certificate.dual[t]);
    });
    TNM_CHECK(gap <= kWorstGap * proof.magnitude + proof.rounding);
    TNM_CHECK(certificate.gap[t] >= 0.0 && certificate.gap[t] <= kWorstGap);
    TNM_CHECK(std::fabs(certificate.gap[t] * proof.magnitude - std::max(0.0L, gap)) <=
              1e-12L * proof.magnitude + proof.rounding);
    check_reported(certificate.primal[t], proof.primal, proof, exponent);
    check_reported(certificate.dual[t], proof.dual, proof, exponent);
}

void check_against_references(const Tile& tile, const Flags& kept) {
    if (std::max(tile.rows, tile.columns) > kFlowLimit) return;
    const auto integers = as_integers(tile);
    if (!integers) return;
    std::int64_t sum = 0;
    for (std::size_t k = 0; k < kept.size(); ++k)
        if (kept[k]) sum += integers->values[k];
    TNM_CHECK_EQUAL(sum, best_by_flow(tile, *integers));
    if (tile.rows * tile.columns <= kBruteForceEntries)
        TNM_CHECK_EQUAL(sum, best_by_brute_force(tile, *integers));
}

void check_mask(const Tile& tile, const Flags& kept) {
    TNM_CHECK(obeys_pattern(tile, kept));
    if (tile.full()) return;
    for (std::size_t k = 0; k < kept.size(); ++k) TNM_CHECK(!kept[k] || tile.scores[k] > 0.0);
}

// Tile by tile, the mask of the transposed matrix keeps as much.
void check_transposed(const Array& array, const Pattern& pattern, Score score,
                      const std::vector<Tile>& tiles, const std::vector<Flags>& kept) {
    const ArrayView view = transposed(array.view());
    const MaskArray mask = solve(view, {pattern, Method::optimal, score});
    const std::vector<Flags> others = tiles_of(mask, pattern.m);
    const TileGrid grid{view.strides.columns(), view.strides.rows(), pattern.m};
    const std::int64_t wide = grid.tile_columns(), high = grid.tile_rows();
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const auto number = static_cast<std::int64_t>(t);
        const std::int64_t plane = number / (wide * high);
        const std::int64_t row = number / wide % high, column = number % wide;
        const Tile other = tiles[t].transposed();
        const Given given([&] { return join("transposed ", other.description()); });
        const Flags& flags = others[static_cast<std::size_t>((plane * wide + column) * high + row)];
        check_mask(other, flags);
        long double magnitude = 0;
        for (std::size_t k = 0; k < flags.size(); ++k)
            if (flags[k]) magnitude += std::fabs(static_cast<long double>(other.scores[k]));
        TNM_CHECK(std::fabs(total(other, flags) - total(tiles[t], kept[t])) <=
                  kWorstGap * magnitude);
    }
}

}  // namespace

Certificate::Certificate(std::size_t tiles, int m)
    : row_prices(tiles * static_cast<std::size_t>(m), std::nan("")),
      column_prices(row_prices),
      primal(tiles, std::nan("")),
      dual(primal),
      gap(primal),
      offset(primal),
      exponent(tiles, -1) {}

CertificateView Certificate::view() {
    return {row_prices.data(), column_prices.data(), primal.data(),  dual.data(),
            gap.data(),        offset.data(),        exponent.data()};
}

MaskArray solve(const ArrayView& array, const TransposableOptions& options, int threads,
                CertificateView* certificate) {
    const auto begin = array.strides.shape.begin();
    MaskArray mask(Shape(begin, begin + array.strides.rank));
    Execution execution;
    execution.threads = threads;
    const Status status = transposable_mask(array, mask.view(), options, certificate, execution);
    TNM_CHECK_EQUAL(static_cast<int>(status), static_cast<int>(Status::ok));
    TNM_CHECK(mask.well_formed());
    return mask;
}

void check_optimal(const Array& array, const Pattern& pattern, Score score) {
    const Given given([&] {
        static constexpr const char* kScores[] = {"abs", "square", "identity"};
        return join(array.description(), ", pattern ", pattern.n, ":", pattern.m, ", score ",
                    kScores[static_cast<int>(score)]);
    });
    const std::vector<std::byte> before = array.bytes();
    const TransposableOptions options{pattern, Method::optimal, score};
    const std::vector<Tile> tiles = tiles_of(array, pattern, score);
    Certificate certificate(tiles.size(), pattern.m);
    CertificateView view = certificate.view();
    const MaskArray mask = solve(array.view(), options, 1, &view);
    const std::vector<Flags> kept = tiles_of(mask, pattern.m);
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const Given which([&] { return join("number ", t, ", ", tiles[t].description()); });
        check_mask(tiles[t], kept[t]);
        check_certificate(tiles[t], kept[t], certificate, t);
        check_against_references(tiles[t], kept[t]);
    }
    TNM_CHECK(solve(array.view(), options).flags() == mask.flags());
    check_transposed(array, pattern, score, tiles, kept);
    TNM_CHECK(array.bytes() == before);
}

void check_filled(Dtype dtype, const Shape& shape, const Pattern& pattern, Score score,
                  Distribution distribution, std::uint64_t seed, Memory memory) {
    const Given given([&] { return join(name_of(distribution), " values, seed ", seed); });
    Random random(seed);
    Array array(dtype, shape, memory);
    fill(array, distribution, random);
    check_optimal(array, pattern, score);
}

}  // namespace tnm::test
