// Through the entries of one mask in row-major order, with the number of masks that a kept entry
// leaves behind.
#pragma once

#include <array>
#include <cstdint>

#include "counting/margins/margin_program.hpp"

namespace tnm {

// For programs whose rows and columns all have the same sum.
class MaskWalk {
  public:
    MaskWalk(const MarginProgram& program, int m);

    // `index` is below the number of masks.
    void unrank(const BigCount& index, std::uint8_t* mask);

    // Entries that equal `one` are kept. `index_limbs` are those of the number of masks.
    void rank(const std::uint8_t* mask, std::uint8_t one, std::uint64_t* index, int index_limbs);

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

    const MarginProgram& program_;
    int m_;
    std::array<int, kMaxMarginSide> needs_;
    // Of the row at hand: how many ones it lacks, and how many rows are below it.
    int left_ = 0, below_ = 0;
    OpenRow row_;
    WideBuffer count_;
};

}  // namespace tnm
