// Through the rows of one mask, with the numbers of ways to go on below.
#pragma once

#include <array>
#include <cstdint>

#include "counting/margins/margin_program.hpp"

namespace tnm {

// For programs whose rows and columns all have the same sum; an object is good for one mask.
class MaskWalk {
  public:
    MaskWalk(const MarginProgram& program, int m);

    // From numbers below the number of masks to masks, and back, in canonical order: entry by
    // entry, with the number of masks that a kept entry leaves behind.
    void unrank(const BigCount& index, std::uint8_t* mask);
    // Entries that equal `one` are kept. `index_limbs` are those of the number of masks.
    void rank(const std::uint8_t* mask, std::uint8_t one, std::uint64_t* index, int index_limbs);

    // In the order that is quickest. Row by row, a number below the number of ways to fill the rows
    // that are left says how many columns of each need the row takes (in the order of Takings), the
    // quotient which of them, and the remainder how the rows below go on. So every number below the
    // number of masks leads to another mask. (Where rows and columns have the same sum, rows of
    // more than 2^63 choices go with more profiles than can be numbered, and do not occur.)
    void sample(const BigCount& draw, std::uint8_t* mask);

  private:
    void start_row(int row);
    // Whether every mask that begins like this one keeps the entry; whether only some do.
    bool must_keep(int column) const { return needs_[column] == below_ + 1; }
    bool has_choice(int column) const {
        return left_ > 0 && needs_[column] > 0 && !must_keep(column);
    }
    // Counts the masks that drop this entry; the walk goes on to the next one.
    const std::uint64_t* count_dropped(int column);
    void keep(int column);
    void leave(int column) { --row_.free.at_least[needs_[column]]; }
    int limbs() const { return program_.levels()[below_ + 1].limbs; }
    // Sets `taken`, by need, and returns which of the choices of columns it is to be; `rest`
    // becomes the remainder.
    std::uint64_t choose_needs(std::uint64_t* rest, int* taken) const;
    void sample_row(std::uint64_t* rest, std::uint8_t* row);

    const MarginProgram& program_;
    const int m_, height_;
    std::array<int, kMaxMarginSide> needs_;
    // Of the row at hand: how many ones it lacks, and how many rows are below it.
    int left_ = 0, below_ = 0;
    OpenRow row_;
    WideBuffer count_;
};

}  // namespace tnm
