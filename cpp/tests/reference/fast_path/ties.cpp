#include "reference/fast_path/ties.hpp"

#include <algorithm>
#include <cstddef>

namespace tnm::test::naive {
namespace {

// Rows and columns of a tile of which some entries may be kept.
class Filling {
  public:
    Filling(const Flags& tight, std::vector<int> row_needs, std::vector<int> column_needs)
        : tight_(tight),
          kept_(tight.size()),
          row_needs_(std::move(row_needs)),
          column_needs_(std::move(column_needs)) {}

    int fill() {
        int filled = 0;
        for (std::size_t i = 0; i < row_needs_.size(); ++i)
            for (; row_needs_[i] > 0; --row_needs_[i], ++filled) {
                seen_.assign(column_needs_.size(), false);
                if (!reach_column_in_need(i)) break;
            }
        return filled;
    }

  private:
    // Depth first, over an entry of row i that is dropped, and on over one that its column keeps.
    bool reach_column_in_need(std::size_t i) {
        const std::size_t columns = column_needs_.size();
        for (std::size_t j = 0; j < columns; ++j) {
            if (!tight_[i * columns + j] || kept_[i * columns + j] || seen_[j]) continue;
            seen_[j] = true;
            if (column_needs_[j] > 0 ? column_needs_[j]-- > 0 : give_up(j)) {
                kept_[i * columns + j] = 1;
                return true;
            }
        }
        return false;
    }

    bool give_up(std::size_t j) {
        const std::size_t columns = column_needs_.size();
        for (std::size_t i = 0; i < row_needs_.size(); ++i)
            if (kept_[i * columns + j] && reach_column_in_need(i)) {
                kept_[i * columns + j] = 0;
                return true;
            }
        return false;
    }

    const Flags& tight_;
    Flags kept_;
    std::vector<int> row_needs_, column_needs_;
    std::vector<bool> seen_;
};

}  // namespace

int common_power_of_two(const std::vector<int>& scores) {
    int power = 1 << 14;
    const auto divides = [&](int score) { return score % power == 0; };
    if (std::all_of(scores.begin(), scores.end(), [](int score) { return score == 0; })) return 0;
    while (!std::all_of(scores.begin(), scores.end(), divides)) power /= 2;
    return power;
}

int most_tight(const Flags& tight, std::vector<int> row_needs, std::vector<int> column_needs) {
    return Filling(tight, std::move(row_needs), std::move(column_needs)).fill();
}

std::vector<int> neediest(const std::vector<int>& candidates, const std::vector<int>& needs,
                          int count) {
    std::vector<int> sorted = candidates;
    std::stable_sort(sorted.begin(), sorted.end(), [&](int a, int b) {
        return needs[static_cast<std::size_t>(a)] > needs[static_cast<std::size_t>(b)];
    });
    if (static_cast<std::size_t>(count) < sorted.size())
        sorted.resize(static_cast<std::size_t>(count));
    return sorted;
}

}  // namespace tnm::test::naive
