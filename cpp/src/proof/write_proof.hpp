// From the proof of a tile to the arrays of a certificate.
#pragma once

#include "tiles/tile.hpp"
#include "tnm/transposable.hpp"

namespace tnm {

// `index` counts tiles as CertificateView does.
void write_proof(const CertificateView& certificate, std::int64_t index, const ScoreTile& scores,
                 const TileMask& mask, const TilePrices& prices);

}  // namespace tnm
