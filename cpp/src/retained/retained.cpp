// The array is cut into pieces of some rows and columns, each of which is added up on its own; then
// the sums of pieces are added up in order. A piece is read where it is, or copied if its elements
// are no neighbours.
#include "tnm/retained.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "copies/strided_copy.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "retained/retained_kernels.hpp"
#include "tiles/element.hpp"
#include "tiles/memory_order.hpp"
#include "tnm/finite.hpp"

namespace tnm {
namespace {

// Part of an array, whose rows are counted through all planes.
struct Piece {
    std::int64_t row, rows, column, columns;

    std::int64_t size() const { return rows * columns; }
};

// How an array of a shape is cut, whatever its strides are.
class Pieces {
  public:
    Pieces(std::int64_t rows, std::int64_t columns)
        : rows_(rows),
          columns_(columns),
          width_(std::clamp<std::int64_t>(columns, 1, kMostColumns)),
          height_(kEntries / width_),
          across_(columns / width_ + (columns % width_ != 0)),
          down_(rows / height_ + (rows % height_ != 0)) {}

    std::int64_t count() const { return across_ * down_; }
    // The `step`-th to be read, where neighbours are those to the right or those below.
    std::int64_t index(std::int64_t step, bool downwards) const {
        return downwards ? step % down_ * across_ + step / down_ : step;
    }
    Piece piece(std::int64_t index) const {
        const std::int64_t row = index / across_ * height_, column = index % across_ * width_;
        return {row, std::min(height_, rows_ - row), column, std::min(width_, columns_ - column)};
    }

  private:
    // Rows of up to so many columns are one run of memory, which is read fastest; 64 of them are
    // whole cache lines where columns are turned.
    static constexpr std::int64_t kEntries = 262144, kMostColumns = 4096;

    std::int64_t rows_, columns_, width_, height_, across_, down_;
};

// Rows of neighbouring elements.
struct Rows {
    const std::byte* data;
    std::int64_t stride;
};

// Elements or flags, as rows that kernels read.
class RowSource {
  public:
    RowSource(const std::byte* data, const Strides& strides, std::int64_t item)
        : data_(data),
          strides_(is_one_matrix(strides) ? as_one_matrix(strides) : strides),
          item_(item),
          copy_(static_cast<int>(item)) {}

    Rows read(const Piece& piece) {
        const std::int64_t stride = strides_.row_stride(), length = piece.columns * item_;
        const bool is_whole = piece.columns % kSumStep == 0 || stride == length;
        if (is_whole && strides_.column_stride() == item_ && is_in_one_plane(piece))
            return {at(piece.row, piece.column), stride};
        memory_.resize(static_cast<std::size_t>(piece.size() * item_));
        for (std::int64_t done = 0; done < piece.rows;)
            done += copy(piece, piece.row + done, piece.rows - done, done);
        return {memory_.data(), length};
    }

  private:
    // Copies rows of one plane, or whole planes along the last batch axis; returns how many rows.
    std::int64_t copy(const Piece& piece, std::int64_t row, std::int64_t rows, std::int64_t done) {
        const std::int64_t height = strides_.rows(), within = row % height;
        const std::int64_t length = piece.columns * item_, batch = strides_.last_batch_count();
        std::int64_t planes = 1, count = std::min(rows, height - within);
        if (count == height) planes = std::min(rows / height, batch - row / height % batch);
        copy_(at(row, piece.column), memory_.data() + done * length,
              {{{},
                {planes, strides_.last_batch_stride(), height * length},
                {count, strides_.row_stride(), length},
                {piece.columns, strides_.column_stride(), item_}}});
        return planes * count;
    }
    const std::byte* at(std::int64_t row, std::int64_t column) const {
        return data_ + strides_.offset(row / strides_.rows(), row % strides_.rows(), column);
    }
    bool is_in_one_plane(const Piece& piece) const {
        return piece.row / strides_.rows() == (piece.row + piece.rows - 1) / strides_.rows();
    }

    const std::byte* data_;
    Strides strides_;
    std::int64_t item_;
    StridedCopy copy_;
    std::vector<std::byte> memory_;
};

double sum_of(const double (&lanes)[kSumLanes]) {
    double sums[kSumLanes];
    std::copy_n(lanes, kSumLanes, sums);
    for (int count = kSumLanes / 2; count > 0; count /= 2)
        for (int k = 0; k < count; ++k) sums[k] += sums[k + count];
    return sums[0];
}

// Adds up pieces, on one thread.
class PieceAdder {
  public:
    PieceAdder(const ArrayView& array, const ConstMaskView& mask, Score score)
        : item_(item_bytes(array.dtype)),
          add_(retained_kernels().add_scores(array.dtype, score)),
          elements_(array.data, array.strides, item_),
          flags_(reinterpret_cast<const std::byte*>(mask.data), mask.strides, 1) {}

    RetainedScore add(const Piece& piece) {
        Rows elements = elements_.read(piece), flags = flags_.read(piece);
        ScoreLanes lanes;
        std::int64_t rows = piece.rows, count = piece.columns;
        if (elements.stride == count * item_ && flags.stride == count)
            count *= std::exchange(rows, 1);
        for (; rows > 0; --rows) {
            add_run(elements, flags, count, lanes);
            elements.data += elements.stride;
            flags.data += flags.stride;
        }
        return {sum_of(lanes.kept), sum_of(lanes.total),
                *std::max_element(lanes.largest, lanes.largest + kSumLanes), lanes.kept_entries};
    }

  private:
    void add_run(const Rows& elements, const Rows& flags, std::int64_t count,
                 ScoreLanes& lanes) const {
        const std::int64_t rest = count % kSumStep, whole = count - rest;
        add_(elements.data, reinterpret_cast<const std::uint8_t*>(flags.data),
             {whole / kSumStep, elements.stride, flags.stride}, lanes);
        if (rest == 0) return;
        // Zeros add nothing.
        std::byte last[kSumStep * sizeof(double)] = {};
        std::uint8_t kept[kSumStep] = {};
        std::memcpy(last, elements.data + whole * item_, static_cast<std::size_t>(rest * item_));
        std::memcpy(kept, flags.data + whole, static_cast<std::size_t>(rest));
        add_(last, kept, {1, 0, 0}, lanes);
    }

    std::int64_t item_;
    AddScores add_;
    RowSource elements_, flags_;
};

RetainedScore sum_of(const std::vector<RetainedScore>& pieces) {
    RetainedScore sum;
    for (const RetainedScore& piece : pieces) {
        sum.kept += piece.kept;
        sum.total += piece.total;
        sum.largest = std::max(sum.largest, piece.largest);
        sum.kept_entries += piece.kept_entries;
    }
    return sum;
}

}  // namespace

Status retained_score(const ArrayView& array, const ConstMaskView& mask, Score score,
                      RetainedScore& found, const Execution& execution) {
    found = {};
    const Strides& strides = array.strides;
    const Pieces pieces(strides.planes() * strides.rows(), strides.columns());
    const bool downwards = lies_across(strides);
    const Status status = guarded([&] {
        std::vector<RetainedScore> sums(static_cast<std::size_t>(pieces.count()));
        const Status added = parallel_for(pieces.count(), execution, [&]() -> Worker {
            return [&, adder = PieceAdder(array, mask, score)](std::int64_t step) mutable {
                const std::int64_t index = pieces.index(step, downwards);
                sums[static_cast<std::size_t>(index)] = adder.add(pieces.piece(index));
                return Status::ok;
            };
        });
        if (added == Status::ok) found = sum_of(sums);
        return added;
    });
    if (status != Status::ok || std::isfinite(found.total)) return status;
    // Whatever the array holds by now.
    if (std::isnan(found.total) && score != Score::identity) return Status::non_finite_score;
    std::optional<std::int64_t> first;
    const Status searched = find_non_finite(array, first, execution);
    return searched == Status::ok && first ? Status::non_finite_score : searched;
}

}  // namespace tnm
