#include "reference/optimum.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

namespace tnm::test {
namespace {

// All masks of one shape and pattern; bit i * columns + j is entry (i, j).
const std::vector<unsigned>& all_masks(const Tile& tile) {
    static std::map<std::tuple<int, int, int, int>, std::vector<unsigned>> cache;
    auto& masks = cache[{tile.rows, tile.columns, tile.pattern.n, tile.pattern.m}];
    if (!masks.empty()) return masks;
    const auto entries = static_cast<std::size_t>(tile.rows * tile.columns);
    for (unsigned mask = 0; mask < 1U << entries; ++mask) {
        Flags kept(entries);
        for (std::size_t k = 0; k < entries; ++k) kept[k] = (mask >> k) & 1U;
        if (obeys_pattern(tile, kept)) masks.push_back(mask);
    }
    return masks;
}

constexpr std::int64_t kUnreached = std::numeric_limits<std::int64_t>::max() / 2;

struct Arc {
    int from, to, capacity;
    std::int64_t cost;
};

// Arc 2k + 1 is the reverse of arc 2k.
class FlowNetwork {
  public:
    explicit FlowNetwork(int nodes) : nodes_(static_cast<std::size_t>(nodes)) {}

    void connect(int from, int to, int capacity, std::int64_t cost) {
        arcs_.push_back({from, to, capacity, cost});
        arcs_.push_back({to, from, 0, -cost});
    }

    // Sends one unit the cheapest way and returns its cost, or kUnreached if there is no way.
    // With `only_if_gain`, does nothing (and returns 0) unless the cost is negative.
    std::int64_t send(int source, int target, bool only_if_gain) {
        std::vector<std::int64_t> distance(nodes_, kUnreached);
        std::vector<std::size_t> arrival(nodes_);
        distance[static_cast<std::size_t>(source)] = 0;
        for (bool changed = true; changed;) {
            changed = false;
            for (std::size_t a = 0; a < arcs_.size(); ++a) {
                const std::int64_t start = distance[static_cast<std::size_t>(arcs_[a].from)];
                const auto to = static_cast<std::size_t>(arcs_[a].to);
                if (arcs_[a].capacity == 0 || start == kUnreached) continue;
                if (start + arcs_[a].cost >= distance[to]) continue;
                distance[to] = start + arcs_[a].cost;
                arrival[to] = a;
                changed = true;
            }
        }
        const std::int64_t cost = distance[static_cast<std::size_t>(target)];
        if (cost == kUnreached) return cost;
        if (only_if_gain && cost >= 0) return 0;
        for (int node = target; node != source;) {
            const std::size_t a = arrival[static_cast<std::size_t>(node)];
            --arcs_[a].capacity;
            ++arcs_[a ^ 1U].capacity;
            node = arcs_[a].from;
        }
        return cost;
    }

  private:
    std::size_t nodes_;
    std::vector<Arc> arcs_;
};

}  // namespace

std::int64_t best_by_brute_force(const Tile& tile, const IntegerScores& scores) {
    std::int64_t best = std::numeric_limits<std::int64_t>::min();
    for (const unsigned mask : all_masks(tile)) {
        std::int64_t sum = 0;
        for (unsigned rest = mask; rest != 0; rest &= rest - 1)
            sum += scores.values[static_cast<std::size_t>(std::countr_zero(rest))];
        best = std::max(best, sum);
    }
    return best;
}

std::int64_t best_by_flow(const Tile& tile, const IntegerScores& scores) {
    const int n = tile.pattern.n, source = tile.rows + tile.columns, target = source + 1;
    FlowNetwork network(target + 1);
    for (int i = 0; i < tile.rows; ++i) network.connect(source, i, n, 0);
    for (int j = 0; j < tile.columns; ++j) network.connect(tile.rows + j, target, n, 0);
    for (int i = 0; i < tile.rows; ++i)
        for (int j = 0; j < tile.columns; ++j)
            network.connect(i, tile.rows + j, 1,
                            -scores.values[static_cast<std::size_t>(i * tile.columns + j)]);
    // Costs of successive paths never fall: at the first one without gain, "at most n" is done.
    std::int64_t best = 0;
    for (;;) {
        const std::int64_t cost = network.send(source, target, !tile.full());
        if (cost == kUnreached || (!tile.full() && cost == 0)) return best;
        best -= cost;
    }
}

}  // namespace tnm::test
