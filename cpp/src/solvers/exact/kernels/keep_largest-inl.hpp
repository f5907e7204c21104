// The largest scores of a line, by bisection.
#pragma once

#include "solvers/exact/kernels/augment_tile-inl.hpp"

namespace tnm::TNM_ISA::tile {

// Scores that are not below zero, in whole vectors. As integers, their bits are ordered alike.
class LineOfScores {
  public:
    // Writes up to a vector beyond the `count` scores.
    LineOfScores(double* scores, int count) : scores_(scores), real_(first_nodes(count)) {
        for (; count % kLanes<Doubles> != 0; ++count) scores[count] = scores[0];
        lanes_ = count;
    }

    NodeSet above(std::int64_t bits) const {
        double threshold;
        std::memcpy(&threshold, &bits, sizeof threshold);
        const NodeSet found{{word_above(threshold, 0), lanes_ > 64 ? word_above(threshold, 64) : 0}};
        return found & real_;
    }

    struct Range {
        std::int64_t least, largest;
    };
    Range range() const {
        Doubles least = load<Doubles>(scores_), largest = least;
        for (int k = kLanes<Doubles>; k < lanes_; k += kLanes<Doubles>) {
            least = minimum(least, load<Doubles>(scores_ + k));
            largest = maximum(largest, load<Doubles>(scores_ + k));
        }
        const double ends[] = {least_of(least), -least_of(-largest)};
        Range range;
        std::memcpy(&range, ends, sizeof range);
        return range;
    }

  private:
    std::uint64_t word_above(double threshold, int first) const {
        std::uint64_t word = 0;
        for (int k = 0; k < 64 && first + k < lanes_; k += kLanes<Doubles>)
            word |= bits_of(load<Doubles>(scores_ + first + k) > threshold) << k;
        return word;
    }

    const double* scores_;
    const NodeSet real_;
    int lanes_;
};

// Half of the bits in between, and not half of the value: few steps are enough whatever the
// magnitudes are.
inline double keep_largest(double* scores, int count, int n, std::uint64_t* kept) {
    const LineOfScores line(scores, count);
    const auto [least, largest] = line.range();
    const auto keep = [kept](const NodeSet& nodes, std::int64_t bits) {
        kept[0] = nodes.words[0];
        kept[1] = nodes.words[1];
        double price;
        std::memcpy(&price, &bits, sizeof price);
        return price;
    };
    const NodeSet positive = line.above(0);
    if (positive.count() <= n) return keep(positive, 0);
    // More than n are above low, at most n above high.
    std::int64_t low = least > 0 ? least - 1 : 0, high = largest;
    while (high - low > 1) {
        const std::int64_t middle = low + (high - low) / 2;
        const NodeSet found = line.above(middle);
        const int above = found.count();
        if (above == n) return keep(found, middle);
        low = above > n ? middle : low;
        high = above > n ? high : middle;
    }
    NodeSet found = line.above(high), equal = line.above(low);
    for (int missing = n - found.count(); missing > 0; equal.remove(equal.first())) {
        if (found.has(equal.first())) continue;
        found.add(equal.first());
        --missing;
    }
    return keep(found, high);
}

}  // namespace tnm::TNM_ISA::tile
