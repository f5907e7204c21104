#include "optimal/certificate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tnm {
namespace {

// Neumaier's variant of Kahan summation: the result is as if summed in twice the precision.
class CompensatedSum {
  public:
    void add(double term) {
        const double next = sum_ + term;
        if (std::fabs(sum_) >= std::fabs(term))
            lost_ += (sum_ - next) + term;
        else
            lost_ += (term - next) + sum_;
        sum_ = next;
    }
    double value() const { return sum_ + lost_; }

  private:
    double sum_ = 0.0, lost_ = 0.0;
};

double scaled(double value, int exponent) {
    const int half = exponent / 2;
    return std::ldexp(std::ldexp(value, half), exponent - half);
}

}  // namespace

TileProof prove(const ScoreTile& scores, const TileMask& mask, const TilePrices& prices) {
    CompensatedSum primal, magnitude, dual;
    const double n = scores.pattern.n;
    for (int i = 0; i < scores.rows; ++i) dual.add(n * prices.row[i]);
    for (int j = 0; j < scores.columns; ++j) dual.add(n * prices.column[j]);
    for (int i = 0; i < scores.rows; ++i) {
        for (int j = 0; j < scores.columns; ++j) {
            const double score = scaled(scores(i, j), -prices.exponent);
            const double surplus = (score - prices.row[i]) - prices.column[j];
            dual.add(std::max(0.0, surplus));
            if (mask.test(i, j)) {
                primal.add(score);
                magnitude.add(std::fabs(score));
            }
        }
    }
    const double difference = std::max(0.0, dual.value() - primal.value());
    TileProof proof;
    proof.primal = scaled(primal.value(), prices.exponent);
    proof.dual = scaled(dual.value(), prices.exponent);
    if (difference > 0.0)
        proof.gap = magnitude.value() > 0.0 ? difference / magnitude.value()
                                            : std::numeric_limits<double>::infinity();
    return proof;
}

}  // namespace tnm
