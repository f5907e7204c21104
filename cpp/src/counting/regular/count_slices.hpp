// Cutting the left multisets of a class into slices of about the same work.
#pragma once

#include <cstdint>
#include <vector>

#include "counting/regular/count_pass.hpp"
#include "counting/regular/count_plan.hpp"

namespace tnm {

class CountSlices {
  public:
    // Slices of at most `largest` evaluations, unless one left multiset alone has more.
    CountSlices(const ResidueClass& part, int roots, int columns, double largest);

    std::int64_t size() const { return static_cast<std::int64_t>(shares_.size()) - 1; }
    CountSlice operator[](std::int64_t slice) const;
    // 0 to 1.
    double share_before(std::int64_t slice) const {
        return shares_[static_cast<std::size_t>(slice)] / shares_.back();
    }

  private:
    void cut(int size, bool mirrored);

    const ResidueClass& part_;
    int roots_;
    int columns_;
    double largest_;
    std::vector<unsigned short> prefix_;
    std::vector<unsigned short> taken_;
    std::vector<std::size_t> begin_{0};
    std::vector<double> shares_{0.0};
};

}  // namespace tnm
