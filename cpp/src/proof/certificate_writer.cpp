#include "proof/certificate_writer.hpp"

#include <algorithm>
#include <cmath>

#include "proof/proof_kernels.hpp"
#include "proof/prove_tile.hpp"

namespace tnm {
namespace {

void write_prices(const double* prices, int count, int exponent, double* target, int m) {
    for (int k = 0; k < m; ++k) target[k] = k < count ? std::ldexp(prices[k], exponent) : 0.0;
}

// `size` values for each tile; all at once where the tiles lie in a row, in the lanes as well.
template <class T, class Value>
void write_values(const TilesInLanes<T>& tiles, const Value* values, int width, int size,
                  Value* target) {
    const std::int64_t first = tiles.indices[0];
    const int last = tiles.tiles - 1;
    if (width == size && tiles.indices[last] - first == last) {
        std::copy_n(values, tiles.tiles * size, target + first * size);
        return;
    }
    for (int t = 0; t < tiles.tiles; ++t)
        std::copy_n(values + t * width, size, target + tiles.indices[t] * size);
}

}  // namespace

void CertificateWriter::observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                                const TilePrices& prices) {
    const TileProof proof = prove_tile(scores, mask, prices);
    certificate_.primal[index] = proof.primal;
    certificate_.dual[index] = proof.dual;
    certificate_.gap[index] = proof.gap;
    certificate_.offset[index] = scores.offset();
    certificate_.exponent[index] = scores.exponent();
    const int m = scores.pattern.m;
    write_prices(prices.row.data(), scores.rows, prices.exponent,
                 certificate_.row_prices + index * m, m);
    write_prices(prices.column.data(), scores.columns, prices.exponent,
                 certificate_.column_prices + index * m, m);
}

template <class T>
std::uint64_t CertificateWriter::prove(const TilesInLanes<T>& tiles) {
    static constexpr double kNone[TilesInLanes<T>::kCount] = {};
    static constexpr std::int32_t kNoExponent[TilesInLanes<T>::kCount] = {};
    double totals[TilesInLanes<T>::kCount];
    const std::uint64_t proven = proof_kernels().of(T{})(tiles, totals);
    write_values(tiles, totals, 1, 1, certificate_.primal);
    write_values(tiles, totals, 1, 1, certificate_.dual);
    write_values(tiles, kNone, 1, 1, certificate_.gap);
    write_values(tiles, kNone, 1, 1, certificate_.offset);
    write_values(tiles, kNoExponent, 1, 1, certificate_.exponent);
    const int m = tiles.pattern.m;
    write_values(tiles, tiles.row_prices, tiles.width, m, certificate_.row_prices);
    write_values(tiles, tiles.column_prices, tiles.width, m, certificate_.column_prices);
    return proven;
}

}  // namespace tnm
