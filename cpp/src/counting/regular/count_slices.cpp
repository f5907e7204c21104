#include "counting/regular/count_slices.hpp"

#include <algorithm>

namespace tnm {

CountSlices::CountSlices(const ResidueClass& part, int roots, int columns, double largest)
    : part_(part), roots_(roots), columns_(columns), largest_(largest) {
    cut(0, part.halved);
}

CountSlice CountSlices::operator[](std::int64_t slice) const {
    const auto k = static_cast<std::size_t>(slice);
    return {taken_.data() + begin_[k], static_cast<int>(begin_[k + 1] - begin_[k])};
}

void CountSlices::cut(int size, bool mirrored) {
    const int bin = static_cast<int>(prefix_.size());
    const double evaluations =
        multisets(columns_ - size, roots_ - bin) / roots_ * (mirrored ? 0.5 : 1.0);
    if (evaluations <= largest_ || bin == part_.left_bins) {
        taken_.insert(taken_.end(), prefix_.begin(), prefix_.end());
        begin_.push_back(taken_.size());
        shares_.push_back(shares_.back() + evaluations);
        return;
    }
    const bool second = part_.mirrors_previous[static_cast<std::size_t>(bin)] != 0;
    const int previous = prefix_.empty() ? 0 : prefix_.back();
    const int most = mirrored && second ? std::min(previous, columns_ - size) : columns_ - size;
    for (int k = 0; k <= most; ++k) {
        prefix_.push_back(static_cast<unsigned short>(k));
        cut(size + k, mirrored && (!second || k == previous));
        prefix_.pop_back();
    }
}

}  // namespace tnm
