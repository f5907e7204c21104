#include "tnm/rowwise.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>
#include <vector>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "rowwise/group_grid.hpp"
#include "rowwise/score_order.hpp"
#include "tiles/element.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {
namespace {

// Enough work in a piece to make handing it out cheap, little enough to share the load evenly and
// to hear of an interruption soon.
constexpr std::int64_t kEntriesPerPiece = 16384;
// Where reading and writing go along different axes, both finish lines of the cache.
constexpr std::int64_t kCacheLine = 64;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

// How a grid is cut into pieces, and these into kGroupLanes lanes for the kernel.
struct Cut {
    Cut(const GroupGrid& grid, int m) {
        const std::int64_t lanes = grid.lanes.count, groups = kEntriesPerPiece / m;
        if (lanes < kGroupLanes) {
            // Vectors take no runs that begin in their middle.
            pitch = lanes < 8 ? static_cast<int>(lanes)
                              : static_cast<int>(std::bit_ceil(static_cast<unsigned>(lanes)));
            next = std::max<std::int64_t>(1, groups / kGroupLanes) * (kGroupLanes / pitch);
        } else if (!grid.next_is_farther()) {
            next = std::max<std::int64_t>(1, kCacheLine / m);
        }
        lanes_per_piece = std::max<std::int64_t>(1, groups / (next * kGroupLanes)) * kGroupLanes;
    }

    int pitch = kGroupLanes;  // from a run to the next
    std::int64_t next = 1, lanes_per_piece;
};

// Takes pieces of a grid. Owns the scratch memory of one thread.
class GroupMasker {
  public:
    GroupMasker(const GroupGrid& grid, const RowwiseTask& task, const Cut& cut,
                std::int64_t item_bytes)
        : grid_(grid),
          task_(task),
          cut_(cut),
          kernel_(rowwise_kernels().mask_groups(static_cast<int>(item_bytes))) {
        const std::int64_t lines = divide_up(task.pattern.m, 16) * 16;
        memory_.resize(static_cast<std::size_t>(lines * (item_bytes + 1 + 1) + 1));
        std::byte* const first = memory_.data()->bytes;
        const std::int64_t ranks = lines * item_bytes * kCacheLine,
                           flags = ranks + lines * kCacheLine;
        space_ = {first, first + ranks, reinterpret_cast<std::uint8_t*>(first + flags)};
    }

    Status operator()(std::int64_t other, std::int64_t first_next, std::int64_t first_lane) {
        const std::int64_t end_next = std::min(first_next + cut_.next, grid_.next.count);
        const std::int64_t end_lane =
            std::min(first_lane + cut_.lanes_per_piece, grid_.lanes.count);
        const GroupPlace corner = grid_.place(other);
        bool finite = true;
        for (std::int64_t lane = first_lane; lane < end_lane; lane += kGroupLanes) {
            const GroupPlace column = corner.after(grid_.lanes, lane);
            for (std::int64_t next = first_next; next < end_next; ++next) {
                const GroupPlace place = column.after(grid_.next, next);
                const std::int64_t left = grid_.lanes.count - lane;
                runs_[count_] = {place.elements, place.flags, count_ * cut_.pitch,
                                 static_cast<int>(std::min<std::int64_t>(left, kGroupLanes)), left};
                ++count_;
                if ((count_ + 1) * cut_.pitch > kGroupLanes) finite &= mask_runs();
            }
            finite &= mask_runs();
        }
        return finite ? Status::ok : Status::non_finite_score;
    }

  private:
    struct alignas(kCacheLine) CacheLine {
        std::byte bytes[kCacheLine];
    };

    bool mask_runs() {
        const int count = std::exchange(count_, 0);
        return count == 0 || kernel_(task_, runs_, count, space_);
    }

    const GroupGrid& grid_;
    const RowwiseTask& task_;
    const Cut& cut_;
    const MaskGroups kernel_;
    LaneRun runs_[kGroupLanes];
    int count_ = 0;
    std::vector<CacheLine> memory_;
    RowwiseSpace space_;
};

// `only_positive`: of entries that are not, none is kept.
Status mask_groups(const ArrayView& array, const MaskView& mask, int n, const GroupRange& range,
                   Score score, bool only_positive, const Execution& execution) {
    const GroupGrid grid(array, mask, range);
    if (grid.lanes.count * grid.next.count * grid.others() == 0) return Status::ok;
    const RowwiseTask task{
        {n, range.m}, only_positive, score_order(array.dtype, score), grid.elements, grid.flags};
    const Cut cut(grid, range.m);
    const std::int64_t across = divide_up(grid.lanes.count, cut.lanes_per_piece);
    const std::int64_t down = divide_up(grid.next.count, cut.next);
    return parallel_for(across * down * grid.others(), execution, [&]() -> Worker {
        return [&, masker = std::make_shared<GroupMasker>(
                       grid, task, cut, item_bytes(array.dtype))](std::int64_t piece) {
            return (*masker)(piece / across / down, piece / across % down * cut.next,
                             piece % across * cut.lanes_per_piece);
        };
    });
}

}  // namespace

Status nm_mask(const ArrayView& scores, const MaskView& mask, const Pattern& pattern, Score score,
               const Execution& execution) {
    const SolveRequest request{SolveMethod::exact, scores, mask, pattern, score, {}, {}};
    if (!request.consistent()) return Status::invalid_argument;
    const auto [n, m] = pattern;
    const std::int64_t groups = scores.strides.columns() / m;
    const auto rest = static_cast<int>(scores.strides.columns() % m);
    return guarded([&] {
        const Status status = mask_groups(scores, mask, n, {0, groups, m}, score, false, execution);
        if (status != Status::ok || rest == 0) return status;
        return mask_groups(scores, mask, std::min(n, rest), {groups * m, 1, rest}, score, true,
                           execution);
    });
}

}  // namespace tnm
