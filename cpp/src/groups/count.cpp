#include "tnm/count.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "groups/group_sums.hpp"
#include "groups/tile_bands.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/memory_order.hpp"

namespace tnm {
namespace {

Strides turned(Strides strides) {
    std::swap(strides.shape[strides.rank - 1], strides.shape[strides.rank - 2]);
    std::swap(strides.bytes[strides.rank - 1], strides.bytes[strides.rank - 2]);
    return strides;
}

// What is counted. Memory is walked along the smaller stride: if that is the rows', everything
// here has rows and columns exchanged. Planes of full tiles become one, where memory allows it.
class CountTask {
  public:
    CountTask(const ConstMaskView& given, const GroupRule& group_rule,
              const CountsView& given_row_counts, const CountsView& given_column_counts)
        : mask(given),
          row_counts(given_row_counts),
          column_counts(given_column_counts),
          rule(group_rule),
          is_turned_(lies_across(given.strides)) {
        if (is_turned_) {
            std::swap(row_counts, column_counts);
            for (Strides* strides : all_strides()) *strides = turned(*strides);
        }
        tile_rows_of_plane_ = grid().tile_rows();
        const auto all = all_strides();
        if (mask.strides.rows() % rule.pattern.m == 0 &&
            std::all_of(all.begin(), all.end(), [](Strides* one) { return is_one_matrix(*one); }))
            for (Strides* strides : all) *strides = as_one_matrix(*strides);
    }

    TileGrid grid() const { return {mask.strides.rows(), mask.strides.columns(), rule.pattern.m}; }
    bool checks_rows() const { return rule.transposable || !is_turned_; }
    bool checks_columns() const { return rule.transposable || is_turned_; }
    // As it is numbered in the mask that was given; never less than that of the first of a band.
    std::int64_t tile_number(const TileBand& band, std::int64_t row, std::int64_t column) const {
        row += band.tile_row, column += band.tile_column;
        const std::int64_t plane = band.plane + row / tile_rows_of_plane_;
        row %= tile_rows_of_plane_;
        const std::int64_t tile_columns = grid().tile_columns();
        return is_turned_ ? (plane * tile_columns + column) * tile_rows_of_plane_ + row
                          : (plane * tile_rows_of_plane_ + row) * tile_columns + column;
    }

    ConstMaskView mask;
    CountsView row_counts, column_counts;
    GroupRule rule;

  private:
    std::array<Strides*, 3> all_strides() {
        return {&mask.strides, &row_counts.strides, &column_counts.strides};
    }

    bool is_turned_;
    std::int64_t tile_rows_of_plane_;
};

struct SharedFindings {
    std::atomic<std::int64_t> kept{0};
    FirstFound bad_tile;
};

// Counts bands of tiles, each in memory of its own before the counts are handed out.
class BandCounter {
  public:
    BandCounter(const CountTask& task, SharedFindings& findings)
        : task_(task), m_(task.rule.pattern.m), findings_(findings) {}

    void count(const TileBand& band) {
        const TileGrid grid = task_.grid();
        const std::int64_t row = band.tile_row * m_, column = band.tile_column * m_;
        tiles_ = band.tile_columns;
        height_ = grid.height(band.tile_row);
        rows_ = band.tile_rows * height_;
        columns_ = std::min(tiles_ * m_, grid.columns - column);
        width_ = tiles_ * m_;
        row_counts_.resize(static_cast<std::size_t>(rows_ * tiles_));
        column_counts_.resize(static_cast<std::size_t>(band.tile_rows * width_));
        add_up(task_.mask.data + task_.mask.strides.offset(band.plane, row, column),
               band.tile_rows);
        hand_out(row_counts_.data(), rows_, tiles_, tiles_, task_.row_counts,
                 {band.plane, row, band.tile_column});
        hand_out(column_counts_.data(), band.tile_rows, columns_, width_, task_.column_counts,
                 {band.plane, band.tile_row, column});
        check(band);
    }

  private:
    struct Place {
        std::int64_t plane, row, column;
    };

    void add_up(const std::uint8_t* flags, std::int64_t tile_rows) {
        const Strides& strides = task_.mask.strides;
        const std::int64_t row_stride = strides.row_stride();
        if (tile_rows > 1) {
            const bool is_dense = strides.column_stride() == 1 && row_stride == width_;
            const std::uint8_t* dense = is_dense ? flags : copy(flags);
            sum_groups(dense, m_, rows_ * width_, row_counts_.data());
            sum_columns(dense, m_, width_, tile_rows, column_counts_.data());
        } else {
            std::fill(column_counts_.begin(), column_counts_.end(), std::uint8_t{0});
            for (std::int64_t i = 0; i < rows_; ++i, flags += row_stride) {
                const std::uint8_t* row = neighbours(flags, strides.column_stride());
                add_flags(row, columns_, column_counts_.data());
                sum_groups(row, m_, columns_, row_counts_.data() + i * tiles_);
            }
        }
        std::int64_t kept = 0;
        for (const std::uint8_t count : column_counts_) kept += count;
        findings_.kept.fetch_add(kept, std::memory_order_relaxed);
    }

    // All rows one after another, each filled up with zeros.
    const std::uint8_t* copy(const std::uint8_t* flags) {
        const Strides& strides = task_.mask.strides;
        const std::int64_t columns = columns_, step = strides.column_stride();
        copy_.assign(static_cast<std::size_t>(rows_ * width_), 0);
        std::uint8_t* target = copy_.data();
        for (std::int64_t i = 0; i < rows_; ++i, target += width_, flags += strides.row_stride())
            for (std::int64_t j = 0; j < columns; ++j) target[j] = flags[j * step];
        return copy_.data();
    }

    // The flags of a row, copied if they do not lie next to each other.
    const std::uint8_t* neighbours(const std::uint8_t* flags, std::int64_t stride) {
        if (stride == 1) return flags;
        copy_.resize(static_cast<std::size_t>(columns_));
        for (std::uint8_t& flag : copy_) flag = *flags, flags += stride;
        return copy_.data();
    }

    static void hand_out(const std::uint8_t* counts, std::int64_t rows, std::int64_t columns,
                         std::int64_t width, const CountsView& view, const Place& place) {
        std::uint8_t* target =
            view.data + view.strides.offset(place.plane, place.row, place.column);
        const std::int64_t step = view.strides.column_stride();
        if (step == 1 && columns == width && view.strides.row_stride() == width)
            columns *= std::exchange(rows, 1);
        for (std::int64_t i = 0; i < rows; ++i) {
            if (step == 1)
                std::copy_n(counts, columns, target);
            else
                for (std::int64_t k = 0; k < columns; ++k) target[k * step] = counts[k];
            counts += width, target += view.strides.row_stride();
        }
    }

    void check(const TileBand& band) {
        if (findings_.bad_tile.precedes(task_.tile_number(band, 0, 0)) || obeys(band.tile_rows))
            return;
        for (std::int64_t row = 0; row < band.tile_rows; ++row)
            for (std::int64_t tile = 0; tile < tiles_; ++tile)
                if (!tiles_obey(row, tile, tile + 1))
                    findings_.bad_tile.report(task_.tile_number(band, row, tile));
    }

    bool obeys(std::int64_t tile_rows) const {
        if (tile_rows > 1 && columns_ == width_)
            return (!task_.checks_rows() ||
                    all_obey(row_counts_.data(), rows_ * tiles_, exact())) &&
                   (!task_.checks_columns() ||
                    all_obey(column_counts_.data(), tile_rows * width_, exact()));
        for (std::int64_t row = 0; row < tile_rows; ++row)
            if (!tiles_obey(row, 0, tiles_)) return false;
        return true;
    }

    // Of a row of tiles, those from `begin` to `end`.
    bool tiles_obey(std::int64_t row, std::int64_t begin, std::int64_t end) const {
        const std::int64_t whole = std::clamp(columns_ / m_, begin, end);
        return part_obeys(row, begin, whole, true) && part_obeys(row, whole, end, false);
    }

    bool part_obeys(std::int64_t row, std::int64_t begin, std::int64_t end, bool is_wide) const {
        if (begin == end) return true;
        const bool is_high = height_ == m_, transposable = task_.rule.transposable;
        if (task_.checks_rows()) {
            const bool exactly = exact() && is_wide && (is_high || !transposable);
            const std::uint8_t* counts = row_counts_.data() + row * m_ * tiles_ + begin;
            for (int i = 0; i < height_; ++i, counts += tiles_)
                if (!all_obey(counts, end - begin, exactly)) return false;
        }
        if (!task_.checks_columns()) return true;
        const bool exactly = exact() && is_high && (is_wide || !transposable);
        return all_obey(column_counts_.data() + row * width_ + begin * m_,
                        std::min(end * m_, columns_) - begin * m_, exactly);
    }

    bool exact() const { return task_.rule.exact; }

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
    int height_ = 0;
    // Those of the band; a row of it takes `width_` once it is filled up to whole tiles.
    std::int64_t tiles_ = 0, rows_ = 0, columns_ = 0, width_ = 0;
    std::vector<std::uint8_t> row_counts_, column_counts_, copy_;
};

}  // namespace

Status count_kept(const ConstMaskView& mask, const GroupRule& rule, const CountsView& row_counts,
                  const CountsView& column_counts, CountedMask& counted,
                  const Execution& execution) {
    counted = {};
    if (!rule.pattern.valid() || mask.strides.rank < 2) return Status::invalid_argument;
    const CountTask task(mask, rule, row_counts, column_counts);
    SharedFindings findings;
    const Status status = guarded([&] {
        return TileBands(task.grid(), task.mask.strides.planes()).for_each(execution, [&] {
            return [counter = BandCounter(task, findings)](const TileBand& band) mutable {
                counter.count(band);
            };
        });
    });
    counted = {findings.kept.load(), findings.bad_tile.get()};
    return status;
}

}  // namespace tnm
