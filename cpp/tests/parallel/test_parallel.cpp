// Handing out work: every piece exactly once, stopping early, failing cleanly.
#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "parallel/parallel_for.hpp"
#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm::test {
namespace {

Execution on_threads(int threads) {
    Execution execution;
    execution.threads = threads;
    return execution;
}

void test_every_piece_once() {
    for (const int threads : {-1, 0, 1, 2, 7, 40})
        for (const std::int64_t pieces : {0, 1, 2, 6, 1000}) {
            const Given given([&] { return join(threads, " threads, ", pieces, " pieces"); });
            std::vector<std::atomic<int>> done(static_cast<std::size_t>(pieces));
            std::atomic<int> workers{0};
            const Status status = parallel_for(pieces, on_threads(threads), [&]() -> Worker {
                ++workers;
                return [&](std::int64_t piece) {
                    ++done[static_cast<std::size_t>(piece)];
                    return Status::ok;
                };
            });
            TNM_CHECK(status == Status::ok);
            for (const auto& count : done) TNM_CHECK_EQUAL(count.load(), 1);
            TNM_CHECK(workers <= std::max(1, threads));
        }
}

// A worker belongs to one thread, which is what lets it own scratch memory.
void test_workers_are_not_shared() {
    std::atomic<bool> shared{false};
    const Status status = parallel_for(2000, on_threads(7), [&]() -> Worker {
        auto owner = std::make_shared<std::thread::id>(std::this_thread::get_id());
        return [&, owner](std::int64_t) {
            if (*owner != std::this_thread::get_id()) shared = true;
            return Status::ok;
        };
    });
    TNM_CHECK(status == Status::ok);
    TNM_CHECK(!shared);
}

void test_status_of_a_worker_is_returned() {
    for (const int threads : {1, 2, 7})
        for (const Status failure : {Status::non_finite_score, Status::invalid_argument}) {
            std::atomic<int> done{0};
            const Status status = parallel_for(100000, on_threads(threads), [&]() -> Worker {
                return [&](std::int64_t piece) {
                    ++done;
                    return piece == 20 ? failure : Status::ok;
                };
            });
            TNM_CHECK(status == failure);
            if (threads == 1) TNM_CHECK_EQUAL(done.load(), 21);
        }
}

void test_bad_alloc_becomes_a_status() {
    for (const int threads : {1, 2, 7}) {
        const Status in_worker = parallel_for(1000, on_threads(threads), []() -> Worker {
            return [](std::int64_t piece) -> Status {
                if (piece == 30) throw std::bad_alloc();
                return Status::ok;
            };
        });
        TNM_CHECK(in_worker == Status::out_of_memory);
        const Status in_maker =
            parallel_for(1000, on_threads(threads), []() -> Worker { throw std::bad_alloc(); });
        TNM_CHECK(in_maker == Status::out_of_memory);
    }
}

// Says "stop" at the given question; notes who asked.
struct Interrupter {
    int allowed = 0;
    int asked = 0;
    std::thread::id caller = std::this_thread::get_id();
    bool asked_elsewhere = false;

    Execution execution(int threads) {
        Execution e;
        e.threads = threads;
        e.context = this;
        e.interrupted = [](void* context) {
            auto& self = *static_cast<Interrupter*>(context);
            if (self.caller != std::this_thread::get_id()) self.asked_elsewhere = true;
            return self.asked++ >= self.allowed;
        };
        return e;
    }
};

void test_interruption() {
    for (const int threads : {1, 2, 7})
        for (const int allowed : {0, 1, 5}) {
            Interrupter interrupter{allowed};
            std::atomic<int> done{0};
            // Without end, unless it is stopped.
            const Status status =
                parallel_for(std::int64_t{1} << 60, interrupter.execution(threads), [&] {
                    return Worker([&](std::int64_t) {
                        ++done;
                        return Status::ok;
                    });
                });
            TNM_CHECK(status == Status::interrupted);
            TNM_CHECK_EQUAL(interrupter.asked, allowed + 1);
            TNM_CHECK(!interrupter.asked_elsewhere);
            if (threads == 1) TNM_CHECK_EQUAL(done.load(), allowed);
        }
}

void test_interruption_of_a_public_call() {
    Random random(1);
    Array array(Dtype::float32, {512, 512});
    fill(array, Distribution::normal, random);
    for (const int threads : {1, 2})
        for (const int allowed : {0, 2}) {
            Interrupter interrupter{allowed};
            MaskArray mask(array.shape());
            TNM_CHECK(transposable_mask(array.view(), mask.view(), {{4, 8}}, nullptr,
                                        interrupter.execution(threads)) == Status::interrupted);
            TNM_CHECK(!interrupter.asked_elsewhere);
        }
    Interrupter patient{1 << 30};
    MaskArray mask(array.shape());
    TNM_CHECK(transposable_mask(array.view(), mask.view(), {{4, 8}}, nullptr,
                                patient.execution(2)) == Status::ok);
    // Often enough for a person at the keyboard, not once for every tile.
    TNM_CHECK(patient.asked > 0 && patient.asked <= 4096);
}

void test_every_tile_once() {
    for (const auto& [rows, columns, m, planes] :
         {std::array{1, 1, 4, 1}, std::array{9, 2000, 4, 3}, std::array{300, 5, 4, 2},
          std::array{0, 5, 4, 2}, std::array{5, 0, 4, 2}, std::array{5, 5, 4, 0},
          std::array{500, 300, 128, 2}}) {
        const TileGrid grid{rows, columns, m};
        for (const int threads : {1, 7}) {
            std::mutex mutex;
            std::multiset<std::tuple<std::int64_t, std::int64_t, std::int64_t>> seen;
            const Status status = walk_tiles(grid, planes, on_threads(threads), [&]() -> RunWorker {
                return [&](const TileRun& run) {
                    const std::lock_guard lock(mutex);
                    for (std::int64_t t = 0; t < run.tile_columns; ++t)
                        seen.emplace(run.plane, run.tile_row, run.first_tile_column + t);
                    return Status::ok;
                };
            });
            TNM_CHECK(status == Status::ok);
            TNM_CHECK_EQUAL(static_cast<std::int64_t>(seen.size()), planes * grid.tiles());
            for (std::int64_t plane = 0; plane < planes; ++plane)
                for (std::int64_t row = 0; row < grid.tile_rows(); ++row)
                    for (std::int64_t column = 0; column < grid.tile_columns(); ++column)
                        TNM_CHECK_EQUAL(seen.count({plane, row, column}), 1U);
        }
    }
}

// Callers do not share anything: many at once, each with threads of its own.
void test_calls_at_the_same_time() {
    Random random(2);
    Array array(Dtype::float32, {100, 200});
    fill(array, Distribution::normal, random);
    const auto expected = solve(array.view(), {{4, 8}}).flags();
    std::atomic<int> right{0};
    std::vector<std::thread> callers;
    for (int c = 0; c < 6; ++c)
        callers.emplace_back([&] {
            MaskArray mask(array.shape());
            if (transposable_mask(array.view(), mask.view(), {{4, 8}}, nullptr, on_threads(2)) ==
                    Status::ok &&
                mask.flags() == expected)
                ++right;
        });
    for (std::thread& caller : callers) caller.join();
    TNM_CHECK_EQUAL(right.load(), 6);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"every_piece_once", test_every_piece_once},
                         {"workers_are_not_shared", test_workers_are_not_shared},
                         {"status_of_a_worker_is_returned", test_status_of_a_worker_is_returned},
                         {"bad_alloc_becomes_a_status", test_bad_alloc_becomes_a_status},
                         {"interruption", test_interruption},
                         {"interruption_of_a_public_call", test_interruption_of_a_public_call},
                         {"every_tile_once", test_every_tile_once},
                         {"calls_at_the_same_time", test_calls_at_the_same_time},
                     });
}
