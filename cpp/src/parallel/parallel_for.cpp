#include "parallel/parallel_for.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "parallel/floating_point.hpp"

namespace tnm {
namespace {

// Neighbouring pieces, of which the next one to do is handed out.
struct alignas(64) Portion {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
};

// Each thread has a portion of its own, and helps with the others' when that is done: threads that
// work far apart do not wait for the same memory, such as a new page that the system has to clear.
class Pieces {
  public:
    Pieces(std::int64_t count, std::int64_t threads)
        : portions_(static_cast<std::size_t>(threads)) {
        const std::int64_t length = count / threads, longer = count % threads;
        std::int64_t first = 0;
        for (std::int64_t k = 0; k < threads; ++k) {
            Portion& portion = portions_[static_cast<std::size_t>(k)];
            portion.next = first;
            portion.end = first += length + (k < longer ? 1 : 0);
        }
    }

    // Negative if none are left. `portion` is where the thread took its last piece from.
    std::int64_t take(std::size_t& portion) {
        for (std::size_t tried = 0; tried < portions_.size(); ++tried) {
            Portion& from = portions_[portion];
            const std::int64_t piece = from.next.fetch_add(1, std::memory_order_relaxed);
            if (piece < from.end) return piece;
            portion = (portion + 1) % portions_.size();
        }
        return -1;
    }

  private:
    std::vector<Portion> portions_;
};

struct SharedProgress {
    Pieces pieces;
    std::atomic<Status> status{Status::ok};

    void stop(Status reason) {
        Status expected = Status::ok;
        status.compare_exchange_strong(expected, reason);
    }
    bool stopped() const { return status.load(std::memory_order_relaxed) != Status::ok; }
};

void work_on(std::size_t portion, SharedProgress& progress,
             const std::function<Worker()>& make_worker, const Execution* caller) {
    const StandardFloatingPoint standard;
    try {
        const Worker worker = make_worker();
        while (!progress.stopped()) {
            if (caller != nullptr && caller->interrupted != nullptr &&
                caller->interrupted(caller->context)) {
                progress.stop(Status::interrupted);
                return;
            }
            const std::int64_t piece = progress.pieces.take(portion);
            if (piece < 0) return;
            if (const Status status = worker(piece); status != Status::ok) progress.stop(status);
        }
    } catch (const std::bad_alloc&) {
        progress.stop(Status::out_of_memory);
    }
}

}  // namespace

Status parallel_for(std::int64_t pieces, const Execution& execution,
                    const std::function<Worker()>& make_worker) {
    const std::int64_t workers =
        std::max<std::int64_t>(1, std::min<std::int64_t>(execution.threads, pieces));
    SharedProgress progress{{pieces, workers}};
    std::vector<std::thread> threads;
    try {
        for (std::int64_t k = 1; k < workers; ++k)
            threads.emplace_back(
                [&, k] { work_on(static_cast<std::size_t>(k), progress, make_worker, nullptr); });
    } catch (const std::system_error&) {
        // No more threads to be had: the ones that run, and the caller, do all the work.
    } catch (const std::bad_alloc&) {
        progress.stop(Status::out_of_memory);
    }
    work_on(0, progress, make_worker, &execution);
    for (std::thread& thread : threads) thread.join();
    return progress.status.load();
}

}  // namespace tnm
