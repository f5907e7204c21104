// Running independent pieces of work on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Does one piece of work. Anything but Status::ok stops the whole call.
using Worker = std::function<Status(std::int64_t piece)>;

// Calls workers, one per thread from `make_worker`, with every piece in [0, pieces). A thread is
// handed neighbouring pieces in ascending order while it can be, the calling thread takes part, and
// which thread gets which piece is not defined. Returns the first status other than ok that a
// worker gave, or interrupted, or out_of_memory.
Status parallel_for(std::int64_t pieces, const Execution& execution,
                    const std::function<Worker()>& make_worker);

// Cuts [0, count) into ranges of `length` (the last one shorter) and calls work(begin, end) for
// each, from several threads at once; as parallel_for does.
template <class Work>
Status parallel_ranges(std::int64_t count, std::int64_t length, const Execution& execution,
                       const Work& work) {
    return parallel_for((count + length - 1) / length, execution, [&]() -> Worker {
        return [&](std::int64_t piece) {
            return work(piece * length, std::min(count, (piece + 1) * length));
        };
    });
}

// Calls visit(k) for each k in [0, count), those of a range of `length` on one thread.
template <class Visit>
Status parallel_each(std::int64_t count, std::int64_t length, const Execution& execution,
                     const Visit& visit) {
    return parallel_ranges(count, length, execution, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t k = begin; k < end; ++k) visit(k);
        return Status::ok;
    });
}

// The least of what several threads report.
class FirstFound {
  public:
    void report(std::int64_t index) {
        std::int64_t known = first_.load(std::memory_order_relaxed);
        while (index < known && !first_.compare_exchange_weak(known, index)) {
        }
    }
    // Whether nothing from `index` on is of interest any more.
    bool precedes(std::int64_t index) const {
        return first_.load(std::memory_order_relaxed) <= index;
    }
    std::optional<std::int64_t> get() const {
        const std::int64_t first = first_.load();
        return first == kNone ? std::nullopt : std::optional(first);
    }

  private:
    static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
    std::atomic<std::int64_t> first_{kNone};
};

}  // namespace tnm
