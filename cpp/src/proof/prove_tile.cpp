#include "proof/prove_tile.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "proof/compensated_sum.hpp"

namespace tnm {
namespace {

double scaled(double value, int exponent) {
    if (exponent == 0) return value;
    const int half = exponent / 2;
    return std::ldexp(std::ldexp(value, half), exponent - half);
}

// The exact value of a - b is difference + error (Knuth's two-sum).
double subtract(double a, double b, double& error) {
    const double difference = a - b;
    const double minus_b = difference - a;
    error = (a - (difference - minus_b)) - (b + minus_b);
    return difference;
}

// score - u - v without rounding. Where prices are much larger than the score, the leading part
// alone would hide what is left.
struct Surplus {
    double leading, rest, last;
    double below;  // of the score, what double does not hold

    Surplus(double score, double below_score, double u, double v) : below(below_score) {
        double first_error;
        const double partial = subtract(score, u, first_error);
        leading = subtract(partial, v, rest);
        last = first_error;
    }
    double value() const { return leading + (rest + last + below); }
    void add_to(CompensatedSum& sum, double sign) const {
        sum.add(sign * leading);
        sum.add(sign * rest);
        sum.add(sign * last);
        sum.add(sign * below);
    }
};

void add_product(CompensatedSum& sum, double factor, double price) {
    const double product = factor * price;
    sum.add(product);
    sum.add(std::fma(factor, price, -product));
}

// The power of two that brings the scores into [0, 1), where no sum overflows. On edge tiles, what
// is not positive is never kept, nor worth more than its prices: it has no say.
int exponent_of(const ScoreTile& scores) {
    double largest = 0.0;
    for (int i = 0; i < scores.rows; ++i)
        for (int j = 0; j < scores.columns; ++j)
            largest = std::max(largest, scores.full() ? std::fabs(scores(i, j)) : scores(i, j));
    int exponent = 0;
    std::frexp(largest, &exponent);
    return exponent;
}

// All sums over one tile, in units of 2^exponent_.
class TileSums {
  public:
    TileSums(const ScoreTile& scores, const TileMask& mask, const TilePrices& prices)
        : exponent_(exponent_of(scores)),
          // Only full tiles have one, and they keep n of every row.
          offsets_(scores.offset() * scores.pattern.n * scores.rows) {
        TilePrices rescaled;
        for (int i = 0; i < scores.rows; ++i)
            rescaled.row[i] = scaled(prices.row[i], prices.exponent - exponent_);
        for (int j = 0; j < scores.columns; ++j)
            rescaled.column[j] = scaled(prices.column[j], prices.exponent - exponent_);
        add_tile(scores, mask, rescaled);
    }

    TileProof proof() const {
        const double difference = difference_.value(), magnitude = magnitude_.value();
        TileProof proof;
        proof.primal = scaled(primal_.value(), exponent_) + offsets_;
        proof.dual = scaled(dual_.value(), exponent_) + offsets_;
        // Written so that NaN, from prices that are no numbers, proves nothing.
        if (!(difference <= 0.0))
            proof.gap = magnitude > 0.0 && std::isfinite(difference)
                            ? difference / magnitude
                            : std::numeric_limits<double>::infinity();
        return proof;
    }

  private:
    void add_tile(const ScoreTile& scores, const TileMask& mask, const TilePrices& prices) {
        std::array<int, kMaxM> column_counts{};
        const int n = scores.pattern.n;
        for (int i = 0; i < scores.rows; ++i) {
            int row_count = 0;
            for (int j = 0; j < scores.columns; ++j) {
                const bool kept = mask.test(i, j);
                add_entry(scaled(scores(i, j), -exponent_), scaled(scores.rest(i, j), -exponent_),
                          kept, prices.row[i], prices.column[j]);
                row_count += kept;
                column_counts[j] += kept;
            }
            add_price(prices.row[i], n, row_count);
        }
        for (int j = 0; j < scores.columns; ++j) add_price(prices.column[j], n, column_counts[j]);
    }

    void add_entry(double score, double rest, bool kept, double u, double v) {
        // Far below what is kept: not even finite in these units, and worth nothing.
        if (!kept && score == -std::numeric_limits<double>::infinity()) return;
        const Surplus surplus(score, rest, u, v);
        const double value = surplus.value();
        if (value > 0.0) surplus.add_to(dual_, 1.0);
        if (kept ? value < 0.0 : value > 0.0) surplus.add_to(difference_, kept ? -1.0 : 1.0);
        if (!kept) return;
        primal_.add(score);
        primal_.add(rest);
        magnitude_.add(std::fabs(score));
    }
    void add_price(double price, int n, int kept) {
        add_product(dual_, n, price);
        if (kept != n) add_product(difference_, n - kept, price);
    }

    int exponent_;
    double offsets_;
    CompensatedSum primal_, magnitude_, dual_;
    // dual - primal, term by term, as complementary slackness has it: what dropped entries are
    // worth above their prices and kept ones below, and what is paid for places left empty. The
    // prices of kept entries cancel, and with them the rounding of large sums.
    CompensatedSum difference_;
};

}  // namespace

TileProof prove_tile(const ScoreTile& scores, const TileMask& mask, const TilePrices& prices) {
    return TileSums(scores, mask, prices).proof();
}

}  // namespace tnm
