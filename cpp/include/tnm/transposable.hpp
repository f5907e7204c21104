// Transposable N:M masks of a batch of matrices.
//
// Every full m x m tile keeps exactly n entries in each row and column. Edge tiles of shapes that m
// does not divide keep at most n, and only entries of positive score.
#pragma once

#include <cstdint>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

enum class Method {
    optimal,            // maximum total score, by min-cost flow with a dual certificate
    two_approximation,  // Hubara et al. 2021: kept = row top n AND column top n
    greedy,             // descending, keep while row and column have room
};

struct TransposableOptions {
    Pattern pattern;
    Method method = Method::optimal;
    Score score = Score::abs;
    // Bring the mask of an approximate method to exactly n; without effect on Method::optimal.
    bool complete = true;
};

// Where the proof of optimality goes; only for Method::optimal. C-contiguous doubles, one record
// per tile, tiles in C order over (batch, tile row, tile column).
//   dual(tile) = n * sum(u) + n * sum(v) + sum over entries of max(0, score - u - v)
// bounds the score of every mask of that tile from above (with u, v >= 0 on edge tiles).
// Here scores are (score - offset) * 2^-exponent. An offset other than zero is taken from all
// scores of a full tile that are integers beyond double, an exponent from squares beyond its range;
// then primal and dual are those of the scores, offset included, times 2^-exponent. Next to
// overflow, primal and dual may be infinite; prices only if scores have both signs.
struct CertificateView {
    double* row_prices = nullptr;     // m per tile: u, zero beyond an edge tile's rows
    double* column_prices = nullptr;  // m per tile: v, zero beyond an edge tile's columns
    double* primal = nullptr;         // total score of the kept entries
    double* dual = nullptr;
    double* gap = nullptr;  // (dual - primal) / sum of |score| over kept entries, never negative
    double* offset = nullptr;
    std::int32_t* exponent = nullptr;
};

// Writes the mask of `scores` to `mask`, which has the same shape and must not overlap it.
// `certificate` may be null. Deterministic: the result does not depend on execution.threads.
Status transposable_mask(const ArrayView& scores, const MaskView& mask,
                         const TransposableOptions& options, const CertificateView* certificate,
                         const Execution& execution);

}  // namespace tnm
