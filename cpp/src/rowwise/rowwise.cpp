#include "tnm/rowwise.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "copies/copy_kernels.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "rowwise/group_grid.hpp"
#include "rowwise/score_order.hpp"
#include "tiles/element.hpp"
#include "tiles/solve_request.hpp"
#include "tnm/road.hpp"

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

// Which memory goes through a copy in which neighbouring groups lie side by side, because it is
// walked along another axis than the other one: it would be touched in short pieces, far apart.
enum class Turned { nothing, elements, flags };

Turned what_is_turned(const GroupGrid& grid, int m, std::int64_t item_bytes) {
    if (grid.lanes.count < kGroupLanes) return Turned::nothing;
    const auto &from = grid.elements, &to = grid.flags;
    const bool rows_follow = grid.next.element_step == m * item_bytes;
    if (from.in_group == item_bytes && to.between == 1 && rows_follow) return Turned::elements;
    const bool flags_follow = grid.next.flag_step == m;
    if (from.between == item_bytes && to.in_group == 1 && flags_follow) return Turned::flags;
    return Turned::nothing;
}

// How a grid is cut into pieces, and these into kGroupLanes lanes for the kernel.
struct Cut {
    Cut(const GroupGrid& grid, int m, std::int64_t item_bytes)
        : turned(what_is_turned(grid, m, item_bytes)) {
        const std::int64_t lanes = grid.lanes.count, groups = kEntriesPerPiece / m;
        if (lanes < kGroupLanes) {
            // Vectors take no runs that begin in their middle.
            pitch = lanes < 8 ? static_cast<int>(lanes)
                              : static_cast<int>(std::bit_ceil(static_cast<unsigned>(lanes)));
            next = std::max<std::int64_t>(1, groups / kGroupLanes) * (kGroupLanes / pitch);
        } else if (turned != Turned::nothing || !grid.next_is_farther()) {
            next = std::max<std::int64_t>(1, kCacheLine / m);
        }
        lanes_per_piece = std::max<std::int64_t>(1, groups / (next * kGroupLanes)) * kGroupLanes;
    }

    const Turned turned;
    int pitch = kGroupLanes;  // from a run to the next
    std::int64_t next = 1, lanes_per_piece;
};

// How the kernel finds elements and flags: as the grid does, but in the copy.
RowwiseTask with_copy(RowwiseTask task, Turned turned, std::int64_t item_bytes) {
    if (turned == Turned::elements) task.elements = {kGroupLanes * item_bytes, item_bytes};
    if (turned == Turned::flags) task.flags = {kGroupLanes, 1};
    return task;
}

// Takes pieces of a grid. Owns the scratch memory of one thread.
class GroupMasker {
  public:
    GroupMasker(const GroupGrid& grid, RowwiseTask task, const Cut& cut, std::int64_t item_bytes)
        : grid_(grid),
          task_(with_copy(task, cut.turned, item_bytes)),
          cut_(cut),
          item_bytes_(item_bytes),
          kernel_(rowwise_kernels().mask_groups(static_cast<int>(item_bytes))) {
        const std::int64_t m = task.pattern.m, lines = divide_up(m, 16) * 16;
        const std::int64_t copy_bytes = cut.turned == Turned::nothing    ? 0
                                        : cut.turned == Turned::elements ? item_bytes
                                                                         : 1;
        memory_.resize(
            static_cast<std::size_t>(lines * (item_bytes + 1 + 1) + 1 + cut.next * m * copy_bytes));
        std::byte* const keys = memory_.data()->bytes;
        std::byte* const ranks = keys + lines * item_bytes * kCacheLine;
        std::byte* const flags = ranks + lines * kCacheLine;
        space_ = {keys, ranks, reinterpret_cast<std::uint8_t*>(flags)};
        copy_ = flags + (lines + 1) * kCacheLine;
    }

    Status operator()(std::int64_t other, std::int64_t first_next, std::int64_t first_lane) {
        const std::int64_t steps = std::min(cut_.next, grid_.next.count - first_next);
        const std::int64_t end_lane =
            std::min(first_lane + cut_.lanes_per_piece, grid_.lanes.count);
        const GroupPlace corner = grid_.place(other).after(grid_.next, first_next);
        bool finite = true;
        for (std::int64_t lane = first_lane; lane < end_lane; lane += kGroupLanes) {
            const GroupPlace place = corner.after(grid_.lanes, lane);
            const std::int64_t left = grid_.lanes.count - lane;
            const auto lanes = static_cast<int>(std::min<std::int64_t>(left, kGroupLanes));
            const auto entries = static_cast<int>(steps * task_.pattern.m);
            if (cut_.turned == Turned::elements) copy_elements(place, entries, lanes);
            finite &= mask_steps(turned_place(place), steps, lanes, left);
            if (cut_.turned == Turned::flags) copy_flags(place, entries, lanes);
        }
        return finite ? Status::ok : Status::non_finite_score;
    }

  private:
    struct alignas(kCacheLine) CacheLine {
        std::byte bytes[kCacheLine];
    };

    GroupPlace turned_place(GroupPlace place) const {
        if (cut_.turned == Turned::elements) place.elements = copy_;
        if (cut_.turned == Turned::flags) place.flags = reinterpret_cast<std::uint8_t*>(copy_);
        return place;
    }
    GroupAxis turned_next() const {
        GroupAxis next = grid_.next;
        if (cut_.turned == Turned::elements)
            next.element_step = task_.pattern.m * kGroupLanes * item_bytes_;
        if (cut_.turned == Turned::flags) next.flag_step = task_.pattern.m * kGroupLanes;
        return next;
    }

    bool mask_steps(const GroupPlace& first, std::int64_t steps, int lanes,
                    std::int64_t in_memory) {
        const GroupAxis next = turned_next();
        bool finite = true;
        int count = 0;
        for (std::int64_t step = 0; step < steps; ++step) {
            const GroupPlace place = first.after(next, step);
            runs_[count] = {place.elements, place.flags, count * cut_.pitch, lanes, in_memory};
            ++count;
            if ((count + 1) * cut_.pitch > kGroupLanes || step + 1 == steps) {
                finite &= kernel_(task_, runs_, count, space_);
                count = 0;
            }
        }
        return finite;
    }

    void copy_elements(const GroupPlace& place, int entries, int lanes) {
        const ColumnBlock block{place.elements, grid_.lanes.element_step, entries, lanes};
        copy_kernels().transposing_copy(static_cast<int>(item_bytes_))(block, copy_,
                                                                       kGroupLanes * item_bytes_);
    }
    void copy_flags(const GroupPlace& place, int entries, int lanes) {
        const ColumnBlock block{copy_, kGroupLanes, lanes, entries};
        copy_kernels().transposing_copy(1)(block, reinterpret_cast<std::byte*>(place.flags),
                                           grid_.lanes.flag_step);
    }

    const GroupGrid& grid_;
    const RowwiseTask task_;
    const Cut& cut_;
    const std::int64_t item_bytes_;
    const MaskGroups kernel_;
    LaneRun runs_[kGroupLanes];
    std::vector<CacheLine> memory_;
    RowwiseSpace space_;
    std::byte* copy_;
};

// `only_positive`: of entries that are not, none is kept.
Status mask_groups(const ArrayView& array, const MaskView& mask, int n, const GroupRange& range,
                   Score score, bool only_positive, const Execution& execution) {
    const GroupGrid grid(array, mask, range);
    if (grid.lanes.count * grid.next.count * grid.others() == 0) return Status::ok;
    const RowwiseTask task{
        {n, range.m}, only_positive, score_order(array.dtype, score), grid.elements, grid.flags};
    const std::int64_t item = item_bytes(array.dtype);
    const Cut cut(grid, range.m, item);
    const std::int64_t across = divide_up(grid.lanes.count, cut.lanes_per_piece);
    const std::int64_t down = divide_up(grid.next.count, cut.next);
    return parallel_for(across * down * grid.others(), execution, [&]() -> Worker {
        return
            [&, masker = std::make_shared<GroupMasker>(grid, task, cut, item)](std::int64_t piece) {
                return (*masker)(piece / across / down, piece / across % down * cut.next,
                                 piece % across * cut.lanes_per_piece);
            };
    });
}

}  // namespace

RowwiseRoadReport rowwise_road_of(const ArrayView& scores, const MaskView& mask,
                                  const Pattern& pattern) {
    const GroupGrid grid(scores, mask, {0, scores.strides.columns() / pattern.m, pattern.m});
    const std::int64_t item = item_bytes(scores.dtype);
    const Turned turned = Cut(grid, pattern.m, item).turned;
    const RowwiseTask task{pattern, false, {}, grid.elements, grid.flags};
    const bool straight =
        grid.lanes.count >= kGroupLanes && goes_straight(with_copy(task, turned, item), item);
    return {turned != Turned::nothing, straight};
}

Status nm_mask(const ArrayView& scores, const MaskView& mask, const Pattern& pattern, Score score,
               const Execution& execution) {
    const SolveRequest request{SolveMethod::exact, scores, mask, pattern, score, {}, {}};
    if (!request.consistent()) return Status::invalid_argument;
    const int n = pattern.n, m = pattern.m;
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
