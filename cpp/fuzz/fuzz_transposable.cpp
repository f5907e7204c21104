// A fuzzing entry point: any bytes are an array, a pattern and a method; whatever the solver
// answers has to hold.
//
// libFuzzer drives it where there is Clang; replay.cpp drives it anywhere.
#include <cstdlib>

#include "reader.hpp"
#include "support/verify.hpp"
#include "tnm/finite.hpp"

namespace tnm::test {
namespace {

struct Problem {
    Pattern pattern;
    Score score;
    Method method;
    bool complete;
};

void check_refused(const Array& array, const Problem& problem) {
    MaskArray mask(array.shape());
    const Status status = transposable_mask(
        array.view(), mask.view(),
        {problem.pattern, problem.method, problem.score, problem.complete}, nullptr, Execution{});
    TNM_CHECK(status == Status::non_finite_score);
}

void check_approximation(const Array& array, const Problem& problem) {
    const auto& [pattern, score, method, complete] = problem;
    const auto tiles = tiles_of(array, pattern, score);
    const auto kept = tiles_of(solve(array.view(), {pattern, method, score, complete}), pattern.m);
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const Given given([&] { return tiles[t].description(); });
        TNM_CHECK(obeys_pattern(tiles[t], kept[t], complete));
    }
}

void check_one(Reader reader) {
    Problem problem{};
    problem.pattern = read_pattern(reader);
    problem.score = static_cast<Score>(reader.between(0, 2));
    problem.complete = reader.byte() % 2 == 0;
    const int choice = reader.byte();
    problem.method = choice < 200   ? Method::optimal
                     : choice < 230 ? Method::two_approximation
                                    : Method::greedy;
    const Array array = read_array(reader, problem.pattern.m, problem.score);
    const Given given([&] {
        return join(array.description(), ", pattern ", problem.pattern.n, ":", problem.pattern.m);
    });
    std::optional<std::int64_t> non_finite;
    if (find_non_finite(array.view(), non_finite, Execution{}) != Status::ok) std::abort();
    if (non_finite) return check_refused(array, problem);
    if (problem.method == Method::optimal)
        check_optimal(array, problem.pattern, problem.score);
    else
        check_approximation(array, problem);
    const TransposableOptions options{problem.pattern, problem.method, problem.score,
                                      problem.complete};
    TNM_CHECK(solve(array.view(), options, 3).flags() == solve(array.view(), options).flags());
}

}  // namespace
}  // namespace tnm::test

// A failed check leaves by an exception, which ends the fuzzer with the input saved.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
