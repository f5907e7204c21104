// Walking over groups of m entries along lines, a block at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tnm/array_view.hpp"

namespace tnm {

// Neighbouring groups of a line, or the same groups of neighbouring lines; the last one may be cut
// off at the edge. Groups lie in words of 64 entries, as many as fit; a group of more than 64 takes
// two words.
struct GroupBlock {
    std::int64_t plane, line, column;
    int lines, columns, words, groups_of_word, groups;
    // Counted in C order over all groups: that of the first line, and how many a line has.
    std::int64_t first_group, groups_per_line;

    std::int64_t offset(const Strides& strides) const {
        return strides.offset(plane, line, column);
    }
    GroupBlock only_line(int k) const {
        GroupBlock only = *this;
        only.line += k;
        only.lines = 1;
        only.first_group += k * groups_per_line;
        return only;
    }
};

class GroupBlocks {
  public:
    // Of a line: few, so that what is copied of a block stays in the caches.
    static constexpr int kMostWords = 16, kMostWordsAcross = 8, kMostLines = 64;
    static constexpr int kMostWordsOfBlock = kMostWordsAcross * kMostLines;

    // Lines are the rows of `strides`; `across` takes many of them at once, of each plane so many
    // `first_lines` first.
    GroupBlocks(const Strides& strides, int m, bool across, int first_lines = kMostLines)
        : m_(m),
          groups_of_word_(std::max(1, 64 / m)),
          words_(m > 64   ? 1
                 : across ? kMostWordsAcross
                          : kMostWords),
          groups_at_once_(groups_of_word_ * words_),
          lines_at_once_(across ? kMostLines : 1),
          first_lines_(across ? first_lines : 1),
          lines_(strides.rows()),
          columns_(strides.columns()),
          groups_((columns_ + m - 1) / m),
          across_((groups_ + groups_at_once_ - 1) / groups_at_once_),
          down_((lines_ + (lines_at_once_ - first_lines_) + lines_at_once_ - 1) / lines_at_once_),
          planes_(strides.planes()),
          count_(planes_ * down_ * across_) {}

    std::int64_t groups() const { return planes_ * lines_ * groups_; }

    // Calls visit(block, next) for all of them, on several threads, each of which calls
    // make_visitor(). Nothing is next to the last of a thread's piece.
    template <class MakeVisitor>
    Status for_each(const Execution& execution, const MakeVisitor& make_visitor) const {
        const std::int64_t most = lines_at_once_ > 1 ? 262144 : 65536;
        const std::int64_t entries =
            std::max<std::int64_t>(1, lines_at_once_ * std::min(columns_, groups_at_once_ * m_));
        const std::int64_t length = std::max<std::int64_t>(1, most / entries);
        return guarded([&] {
            return parallel_for((count_ + length - 1) / length, execution, [&]() -> Worker {
                return [=, this, visit = make_visitor()](std::int64_t piece) mutable {
                    const std::int64_t end = std::min(count_, (piece + 1) * length);
                    for (std::int64_t index = piece * length; index < end; ++index)
                        visit(block(index), index + 1 < end ? block(index + 1) : GroupBlock{});
                    return Status::ok;
                };
            });
        });
    }

  private:
    GroupBlock block(std::int64_t index) const {
        const std::int64_t plane = index / (across_ * down_), within = index % (across_ * down_);
        // Lines that lie next to each other share pages of memory: all are taken before what comes
        // next in each.
        const bool by_lines = lines_at_once_ > 1;
        const std::int64_t across = by_lines ? within / down_ : within % across_;
        const std::int64_t down = by_lines ? within % down_ : within / across_;
        const std::int64_t line = std::max<std::int64_t>(0, first_line(down));
        const std::int64_t group = across * groups_at_once_;
        const std::int64_t column = group * m_;
        const std::int64_t groups = std::min(groups_at_once_, groups_ - group);
        return {plane,
                line,
                column,
                static_cast<int>(std::min(first_line(down + 1), lines_) - line),
                static_cast<int>(std::min(groups * m_, columns_ - column)),
                static_cast<int>((groups + groups_of_word_ - 1) / groups_of_word_),
                static_cast<int>(groups_of_word_),
                static_cast<int>(groups),
                (plane * lines_ + line) * groups_ + group,
                groups_};
    }

    std::int64_t first_line(std::int64_t down) const {
        return first_lines_ + (down - 1) * lines_at_once_;
    }

    const std::int64_t m_, groups_of_word_, words_, groups_at_once_, lines_at_once_, first_lines_;
    const std::int64_t lines_, columns_, groups_, across_, down_, planes_, count_;
};

}  // namespace tnm
