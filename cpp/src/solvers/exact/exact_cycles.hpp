// The last step for scores that double does not hold: a mask that is optimal for the rounded scores
// is made optimal for the scores themselves, in integers, and so are its prices.
#pragma once

#include <memory>

#include "tiles/tile.hpp"

namespace tnm {

class ExactCycles {
  public:
    ExactCycles();
    ~ExactCycles();

    // `tile.exact` is set. `mask` obeys the pattern and `prices` are near those that prove it; both
    // are improved. Prices are exact as far as double holds them.
    void run(const ScoreTile& tile, TileMask& mask, TilePrices& prices);

  private:
    template <std::size_t kWords>
    class Network;

    template <std::size_t kWords>
    void run_with(std::unique_ptr<Network<kWords>>& network, const ScoreTile& tile, TileMask& mask,
                  TilePrices& prices);

    // Made when they are first needed: hardly any tile takes more than the first.
    std::unique_ptr<Network<2>> narrow_;
    std::unique_ptr<Network<4>> wide_;
    std::unique_ptr<Network<68>> widest_;
};

}  // namespace tnm
