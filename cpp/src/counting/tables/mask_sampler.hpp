// From numbers to masks, each to another one, in the order that is quickest.
#pragma once

#include <array>
#include <cstdint>

#include "counting/margins/margin_program.hpp"

namespace tnm {

// Row by row, a number below the number of ways to fill the rows that are left says how many
// columns of each need the row takes (in the order of Takings), the quotient which of them, and the
// remainder how the rows below go on. So every number below the number of masks leads to another
// mask. For programs whose rows and columns all have the same sum; then rows of more than 2^63
// choices go with more profiles than can be numbered, and do not occur.
class MaskSampler {
  public:
    MaskSampler(const MarginProgram& program, int m);

    // `draw` is below the number of masks.
    void sample(const BigCount& draw, std::uint8_t* mask);

  private:
    // Both return which of the choices of columns it is to be, after they have set taken_.
    std::uint64_t choose_needs();
    template <int kLimbs>
    std::uint64_t choose_needs_of();
    void fill_row(std::uint8_t* row);

    const MarginProgram& program_;
    int m_, height_;
    int left_ = 0, below_ = 0;
    OpenRow row_;
    std::array<int, kMaxMarginSide> needs_;
    std::array<int, kMaxMarginSide + 1> taken_;
    WideBuffer rest_;
};

}  // namespace tnm
