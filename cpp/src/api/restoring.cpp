#include "tnm/restoring.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

constexpr std::int64_t kFlagsPerPiece = 65536;
constexpr std::int64_t kWordsPerPiece = kFlagsPerPiece / 64;

struct Axis {
    std::int64_t size, stride;
};

// A mask as lines of flags at a fixed distance, the longest that there are. In which order they
// come and from which end they are read does not matter here.
class FlagLines {
  public:
    explicit FlagLines(const MaskView& mask) : first_(mask.data) {
        const Strides& strides = mask.strides;
        for (int k = 0; k < strides.rank; ++k) {
            const Axis axis{strides.shape[k], strides.bytes[k]};
            if (axis.size == 1) continue;
            if (axis.stride < 0) first_ += (axis.size - 1) * axis.stride;
            axes_.push_back({axis.size, std::abs(axis.stride)});
        }
        std::sort(axes_.begin(), axes_.end(),
                  [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
        if (axes_.empty()) axes_.push_back({1, 1});
        merge_axes();
    }

    std::int64_t stride() const { return axes_[0].stride; }
    std::int64_t length() const { return axes_[0].size; }
    std::int64_t count() const {
        std::int64_t lines = 1;
        for (std::size_t k = 1; k < axes_.size(); ++k) lines *= axes_[k].size;
        return lines;
    }
    std::uint8_t* line(std::int64_t index) const {
        std::uint8_t* start = first_;
        for (std::size_t k = 1; k < axes_.size(); index /= axes_[k++].size)
            start += index % axes_[k].size * axes_[k].stride;
        return start;
    }

  private:
    void merge_axes() {
        std::size_t last = 0;
        for (std::size_t k = 1; k < axes_.size(); ++k) {
            if (axes_[k].stride == axes_[last].stride * axes_[last].size)
                axes_[last].size *= axes_[k].size;
            else
                axes_[++last] = axes_[k];
        }
        axes_.resize(last + 1);
    }

    std::uint8_t* first_;
    std::vector<Axis> axes_;
};

// Part of a line.
struct Flags {
    std::uint8_t* data;
    std::int64_t stride, count;
};

// Where a word keeps the k-th of its 64 flags: those eight places apart are neighbours, so that
// eight flags next to each other take one shift.
constexpr int bit_of(std::int64_t k) {
    return static_cast<int>(k % 8 * 8 + k / 8);
}

// Up to 64 flags, if each is 0 or 1; `seen` collects all bits that they have.
std::uint64_t read_word(const Flags& flags, std::uint64_t& seen) {
    std::uint64_t word = 0;
    std::int64_t k = 0;
    if (flags.stride == 1)
        for (; k + 8 <= flags.count; k += 8) {
            std::uint64_t eight = 0;
            std::memcpy(&eight, flags.data + k, sizeof eight);
            seen |= eight;
            word |= eight << bit_of(k);
        }
    for (; k < flags.count; ++k) {
        const std::uint64_t flag = flags.data[k * flags.stride];
        seen |= flag;
        word |= flag << bit_of(k);
    }
    return word;
}

// Returns whether all flags were 0 or 1, which is what bits can tell.
bool read_bits(const Flags& flags, std::uint64_t* words) {
    std::uint64_t seen = 0;
    for (std::int64_t k = 0; k < flags.count; k += 64)
        words[k / 64] = read_word({flags.data + k * flags.stride, flags.stride,
                                   std::min<std::int64_t>(64, flags.count - k)},
                                  seen);
    return (seen & 0xfefefefefefefefeU) == 0;
}

class MaskSnapshot {
  public:
    explicit MaskSnapshot(const MaskView& mask)
        : lines_(mask),
          pieces_per_line_((lines_.length() + kFlagsPerPiece - 1) / kFlagsPerPiece),
          words_per_line_((lines_.length() + 63) / 64) {}

    Status take(const Execution& execution) {
        words_.resize(static_cast<std::size_t>(lines_.count() * words_per_line_));
        std::atomic<bool> bits_suffice{true};
        const Status status = for_each_piece(execution, [&](const Flags& flags, std::int64_t word) {
            if (!read_bits(flags, &words_[static_cast<std::size_t>(word)]))
                bits_suffice.store(false, std::memory_order_relaxed);
        });
        if (status != Status::ok || bits_suffice) return status;
        bytes_.resize(words_.size() * 64);
        words_ = {};
        return for_each_piece(execution, [&](const Flags& flags, std::int64_t word) {
            for (std::int64_t k = 0; k < flags.count; ++k)
                bytes_[static_cast<std::size_t>(word * 64 + k)] = flags.data[k * flags.stride];
        });
    }

    void restore() const {
        // Without threads and allocations: nothing may go wrong any more.
        for (std::int64_t piece = 0; piece < pieces(); ++piece)
            visit_piece(piece, [&](const Flags& flags, std::int64_t word) {
                for (std::int64_t k = 0; k < flags.count; ++k)
                    flags.data[k * flags.stride] = flag_at(word * 64 + k);
            });
    }

  private:
    std::uint8_t flag_at(std::int64_t k) const {
        const auto index = static_cast<std::size_t>(k);
        if (!bytes_.empty()) return bytes_[index];
        return static_cast<std::uint8_t>(words_[index / 64] >> bit_of(k % 64) & 1);
    }

    std::int64_t pieces() const { return lines_.count() * pieces_per_line_; }

    // visit(flags, number of their first word).
    template <class Visit>
    void visit_piece(std::int64_t piece, const Visit& visit) const {
        const std::int64_t line = piece / pieces_per_line_, part = piece % pieces_per_line_;
        const std::int64_t first = part * kFlagsPerPiece;
        visit(Flags{lines_.line(line) + first * lines_.stride(), lines_.stride(),
                    std::min(kFlagsPerPiece, lines_.length() - first)},
              line * words_per_line_ + part * kWordsPerPiece);
    }

    template <class Visit>
    Status for_each_piece(const Execution& execution, const Visit& visit) const {
        const std::int64_t length = std::clamp(lines_.length(), std::int64_t{1}, kFlagsPerPiece);
        return parallel_each(pieces(), kFlagsPerPiece / length, execution,
                             [&](std::int64_t piece) { visit_piece(piece, visit); });
    }

    const FlagLines lines_;
    const std::int64_t pieces_per_line_, words_per_line_;
    // A line after the other, each from a new word on. One of the two is in use.
    std::vector<std::uint64_t> words_;
    std::vector<std::uint8_t> bytes_;
};

}  // namespace

Status restoring(const MaskView& mask, const Execution& execution,
                 const std::function<Status()>& solve) {
    return guarded([&] {
        MaskSnapshot before(mask);
        if (const Status taken = before.take(execution); taken != Status::ok) return taken;
        const Status status = solve();
        if (status != Status::ok) before.restore();
        return status;
    });
}

}  // namespace tnm
