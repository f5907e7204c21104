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

// Prices of tiles in lanes, all at once where they lie in a row.
template <class T>
void write_prices(const TilesInLanes<T>& tiles, const double* prices, double* target) {
    const int m = tiles.pattern.m, last = tiles.tiles - 1;
    if (tiles.width == m && tiles.indices[last] - tiles.indices[0] == last) {
        std::copy_n(prices, tiles.tiles * m, target + tiles.indices[0] * m);
        return;
    }
    for (int t = 0; t < tiles.tiles; ++t)
        std::copy_n(prices + t * tiles.width, m, target + tiles.indices[t] * m);
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
    double totals[TilesInLanes<T>::kCount];
    const std::uint64_t proven = proof_kernels().of(T{})(tiles, totals);
    for (int t = 0; t < tiles.tiles; ++t) {
        const std::int64_t index = tiles.indices[t];
        certificate_.primal[index] = certificate_.dual[index] = totals[t];
        certificate_.gap[index] = certificate_.offset[index] = 0.0;
        certificate_.exponent[index] = 0;
    }
    write_prices(tiles, tiles.row_prices, certificate_.row_prices);
    write_prices(tiles, tiles.column_prices, certificate_.column_prices);
    return proven;
}

}  // namespace tnm
