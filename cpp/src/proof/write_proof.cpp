#include "proof/write_proof.hpp"

#include <cmath>

#include "proof/certificate.hpp"

namespace tnm {
namespace {

void write_prices(const double* prices, int count, int exponent, double* target, int m) {
    for (int k = 0; k < m; ++k) target[k] = k < count ? std::ldexp(prices[k], exponent) : 0.0;
}

}  // namespace

void write_proof(const CertificateView& certificate, std::int64_t index, const ScoreTile& scores,
                 const TileMask& mask, const TilePrices& prices) {
    const TileProof proof = prove(scores, mask, prices);
    certificate.primal[index] = proof.primal;
    certificate.dual[index] = proof.dual;
    certificate.gap[index] = proof.gap;
    const int m = scores.pattern.m;
    write_prices(prices.row.data(), scores.rows, prices.exponent,
                 certificate.row_prices + index * m, m);
    write_prices(prices.column.data(), scores.columns, prices.exponent,
                 certificate.column_prices + index * m, m);
}

}  // namespace tnm
