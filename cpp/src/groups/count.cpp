#include "tnm/count.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>
#include <vector>

#include "groups/group_sums.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {
namespace {

Strides turned(Strides strides) {
    std::swap(strides.shape[strides.rank - 1], strides.shape[strides.rank - 2]);
    std::swap(strides.bytes[strides.rank - 1], strides.bytes[strides.rank - 2]);
    return strides;
}

// What is counted. Memory is walked along the smaller stride: if that is the rows', everything
// here has rows and columns exchanged.
struct CountTask {
    ConstMaskView mask;
    CountsView row_counts, column_counts;
    GroupRule rule;
    bool is_turned = false;

    static CountTask of(const ConstMaskView& mask, const GroupRule& rule,
                        const CountsView& row_counts, const CountsView& column_counts) {
        const Strides& strides = mask.strides;
        if (std::llabs(strides.column_stride()) <= std::llabs(strides.row_stride()))
            return {mask, row_counts, column_counts, rule, false};
        return {{mask.data, turned(strides)},
                {column_counts.data, turned(column_counts.strides)},
                {row_counts.data, turned(row_counts.strides)},
                rule,
                true};
    }

    TileGrid grid() const { return {mask.strides.rows(), mask.strides.columns(), rule.pattern.m}; }
    bool checks_rows() const { return rule.transposable || !is_turned; }
    bool checks_columns() const { return rule.transposable || is_turned; }
    // As it is numbered in the mask that was given.
    std::int64_t tile_number(const TileRun& run, std::int64_t tile) const {
        const TileGrid tiles = grid();
        const std::int64_t column = run.first_tile_column + tile;
        return is_turned
                   ? (run.plane * tiles.tile_columns() + column) * tiles.tile_rows() + run.tile_row
                   : tile_index(tiles, run.plane, run.tile_row, column);
    }
};

struct SharedFindings {
    std::atomic<std::int64_t> kept{0};
    FirstFound bad_tile;
};

// Counts runs of tiles, each in memory of its own before the counts are handed out.
class RunCounter {
  public:
    RunCounter(const CountTask& task, SharedFindings& findings)
        : task_(task), m_(task.rule.pattern.m), findings_(findings) {}

    void count(const TileRun& run) {
        const TileGrid grid = task_.grid();
        rows_ = grid.height(run.tile_row);
        tiles_ = run.tile_columns;
        const std::int64_t row = run.tile_row * m_, column = run.first_tile_column * m_;
        columns_ = std::min(tiles_ * m_, grid.columns - column);
        add_up(task_.mask.data + task_.mask.strides.offset(run.plane, row, column));
        const Strides& rows = task_.row_counts.strides;
        for (int i = 0; i < rows_; ++i)
            hand_out(row_counts(i), tiles_,
                     task_.row_counts.data + rows.offset(run.plane, row + i, run.first_tile_column),
                     rows.column_stride());
        const Strides& columns = task_.column_counts.strides;
        hand_out(column_counts_.data(), columns_,
                 task_.column_counts.data + columns.offset(run.plane, run.tile_row, column),
                 columns.column_stride());
        check(run);
    }

  private:
    std::uint8_t* row_counts(int row) { return row_counts_.data() + row * tiles_; }

    void add_up(const std::uint8_t* flags) {
        row_counts_.resize(static_cast<std::size_t>(tiles_ * m_));
        column_counts_.assign(static_cast<std::size_t>(columns_), 0);
        const Strides& strides = task_.mask.strides;
        for (int i = 0; i < rows_; ++i, flags += strides.row_stride()) {
            const std::uint8_t* row = neighbours(flags, strides.column_stride());
            add(row, columns_, column_counts_.data());
            sum_groups(row, m_, columns_, row_counts(i));
        }
        std::int64_t kept = 0;
        for (const std::uint8_t count : column_counts_) kept += count;
        findings_.kept.fetch_add(kept, std::memory_order_relaxed);
    }

    static void add(const std::uint8_t* flags, std::int64_t count, std::uint8_t* sums) {
        for (std::int64_t j = 0; j < count; ++j)
            sums[j] = static_cast<std::uint8_t>(sums[j] + flags[j]);
    }

    // The flags of a row, copied if they do not lie next to each other.
    const std::uint8_t* neighbours(const std::uint8_t* flags, std::int64_t stride) {
        if (stride == 1) return flags;
        copy_.resize(static_cast<std::size_t>(columns_));
        for (std::uint8_t& flag : copy_) flag = *flags, flags += stride;
        return copy_.data();
    }

    static void hand_out(const std::uint8_t* counts, std::int64_t count, std::uint8_t* target,
                         std::int64_t stride) {
        if (stride == 1) return void(std::copy_n(counts, count, target));
        for (std::int64_t k = 0; k < count; ++k) target[k * stride] = counts[k];
    }

    void check(const TileRun& run) {
        if (findings_.bad_tile.precedes(task_.tile_number(run, 0)) || obeys(0, tiles_)) return;
        for (std::int64_t tile = 0; tile < tiles_; ++tile)
            if (!obeys(tile, tile + 1))
                return findings_.bad_tile.report(task_.tile_number(run, tile));
    }

    // Whether the tiles from `begin` to `end` of the run obey the rule.
    bool obeys(std::int64_t begin, std::int64_t end) {
        const std::int64_t whole = std::clamp(columns_ / m_, begin, end);
        return part_obeys(begin, whole, true) && part_obeys(whole, end, false);
    }

    bool part_obeys(std::int64_t begin, std::int64_t end, bool is_wide) {
        if (begin == end) return true;
        const GroupRule& rule = task_.rule;
        const bool is_high = rows_ == m_;
        if (task_.checks_rows()) {
            const bool exactly = rule.exact && is_wide && (is_high || !rule.transposable);
            for (int i = 0; i < rows_; ++i)
                if (!all_obey(row_counts(i) + begin, end - begin, exactly)) return false;
        }
        if (!task_.checks_columns()) return true;
        const bool exactly = rule.exact && is_high && (is_wide || !rule.transposable);
        return all_obey(column_counts_.data() + begin * m_,
                        std::min(end * m_, columns_) - begin * m_, exactly);
    }

    bool all_obey(const std::uint8_t* counts, std::int64_t count, bool exactly) const {
        const int n = task_.rule.pattern.n, least = exactly ? n : 0;
        std::uint8_t most = 0;
        for (std::int64_t k = 0; k < count; ++k)  // those below the least wrap around
            most = std::max(most, static_cast<std::uint8_t>(counts[k] - least));
        return most <= n - least;
    }

    const CountTask& task_;
    const int m_;
    SharedFindings& findings_;
    int rows_ = 0;
    std::int64_t tiles_ = 0, columns_ = 0;
    std::vector<std::uint8_t> row_counts_, column_counts_, copy_;
};

}  // namespace

Status count_kept(const ConstMaskView& mask, const GroupRule& rule, const CountsView& row_counts,
                  const CountsView& column_counts, CountedMask& counted,
                  const Execution& execution) {
    counted = {};
    if (!rule.pattern.valid() || mask.strides.rank < 2) return Status::invalid_argument;
    const CountTask task = CountTask::of(mask, rule, row_counts, column_counts);
    SharedFindings findings;
    const Status status = guarded([&] {
        return walk_tiles(task.grid(), mask.strides.planes(), execution, [&]() -> RunWorker {
            return [counter = RunCounter(task, findings)](const TileRun& run) mutable {
                counter.count(run);
                return Status::ok;
            };
        });
    });
    counted = {findings.kept.load(), findings.bad_tile.get()};
    return status;
}

}  // namespace tnm
