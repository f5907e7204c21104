// Optimal masks of 4 x 4 tiles, in closed form.
#pragma once

#include <algorithm>
#include <type_traits>

#include "fast_path/pipelines/exact_strip.hpp"

namespace tnm {

template <class T>
class FourByFourMasker {
  public:
    explicit FourByFourMasker(const SolveRequest& request)
        : pattern_(request.pattern),
          mask_(strip_kernels().of<T>().four_by_four(pattern_)),
          strip_(request, request.score == Score::identity || std::is_same_v<T, double>) {}

    template <class Next>
    std::uint64_t* operator()(const StripPlace& place, const StripScores<T>& scores,
                              const Next& next) {
        mask_(scores.values, pattern_, strip_.kept());
        if (!strip_.is_observed()) return strip_.finish(place, scores);
        Prefetcher ahead = next();
        ahead.prefetch(pattern_.m);
        const std::uint64_t all = lowest_bits(place.tiles);
        std::uint64_t proven = 0;
        for (const PriceStrip<T> price : strip_kernels().of<T>().price_four_by_four) {
            price_unproven(price, scores, proven);
            proven = strip_.show(place, scores);
            if (proven == all) return strip_.finish(place, scores, proven);
        }
        // Any optimal prices prove any optimal mask.
        strip_.solve(place, scores, next());
        mask_(scores.values, pattern_, strip_.kept());
        return strip_.finish(place, scores, proven);
    }

  private:
    // A tile's prices must not depend on its neighbours: those that prove it stay.
    void price_unproven(PriceStrip<T> price, const StripScores<T>& scores, std::uint64_t proven) {
        StripSolution& solution = strip_.solution();
        if (proven == 0)
            return price(scores.values, solution.kept, solution.row_prices, solution.column_prices);
        double rows[kStripColumns], columns[kStripColumns];
        price(scores.values, solution.kept, rows, columns);
        for (int c = 0; c < kStripColumns; c += 4) {
            if (proven >> c / 4 & 1) continue;
            std::copy_n(rows + c, 4, solution.row_prices + c);
            std::copy_n(columns + c, 4, solution.column_prices + c);
        }
    }

    const Pattern pattern_;
    const MaskStrip<T> mask_;
    ExactStrip<T> strip_;
};

}  // namespace tnm
