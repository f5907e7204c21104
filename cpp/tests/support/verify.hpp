// The one assertion helper for transposable masks.
#pragma once

#include <vector>

#include "reference/tile.hpp"
#include "support/array.hpp"
#include "support/values.hpp"
#include "tnm/transposable.hpp"

namespace tnm::test {

// Memory for the certificates of a number of tiles.
struct Certificate {
    Certificate(std::size_t tiles, int m);
    CertificateView view();
    bool operator==(const Certificate&) const = default;

    std::vector<double> row_prices, column_prices, primal, dual, gap, offset;
    std::vector<std::int32_t> exponent;
};

// Runs a method into a contiguous mask; checks that it reports success and writes flags only.
MaskArray solve(const ArrayView& array, const TransposableOptions& options, int threads = 1,
                CertificateView* certificate = nullptr);

// Everything that Method::optimal promises about this array, one thread:
//  * exactly or at most n kept, edge tiles keep only positive scores;
//  * a certificate that, recomputed from the prices in long double, proves a relative gap of at
//    most 1e-9 and agrees with the reported primal, dual and gap;
//  * the same mask without a certificate;
//  * the same total for the transposed matrix;
//  * the total of the references, wherever exact integers allow (and tiles of at most 20 x 20).
// Leaves the array alone.
void check_optimal(const Array& array, const Pattern& pattern, Score score);

// The same for an array filled from a distribution.
void check_filled(Dtype dtype, const Shape& shape, const Pattern& pattern, Score score,
                  Distribution distribution, std::uint64_t seed,
                  Memory memory = Memory::contiguous);

}  // namespace tnm::test
