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

struct SharedProgress {
    std::atomic<std::int64_t> next{0};
    std::atomic<Status> status{Status::ok};

    void stop(Status reason) {
        Status expected = Status::ok;
        status.compare_exchange_strong(expected, reason);
    }
    bool stopped() const { return status.load(std::memory_order_relaxed) != Status::ok; }
};

void work_on(std::int64_t pieces, SharedProgress& progress,
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
            const std::int64_t piece = progress.next.fetch_add(1, std::memory_order_relaxed);
            if (piece >= pieces) return;
            if (const Status status = worker(piece); status != Status::ok) progress.stop(status);
        }
    } catch (const std::bad_alloc&) {
        progress.stop(Status::out_of_memory);
    }
}

}  // namespace

Status parallel_for(std::int64_t pieces, const Execution& execution,
                    const std::function<Worker()>& make_worker) {
    SharedProgress progress;
    const std::int64_t helpers = std::min<std::int64_t>(execution.threads, pieces) - 1;
    std::vector<std::thread> threads;
    try {
        for (std::int64_t h = 0; h < helpers; ++h)
            threads.emplace_back([&] { work_on(pieces, progress, make_worker, nullptr); });
    } catch (const std::system_error&) {
        // No more threads to be had: the ones that run, and the caller, do all the work.
    } catch (const std::bad_alloc&) {
        progress.stop(Status::out_of_memory);
    }
    work_on(pieces, progress, make_worker, &execution);
    for (std::thread& thread : threads) thread.join();
    return progress.status.load();
}

}  // namespace tnm
