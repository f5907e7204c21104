#include "support/check.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "tnm/build_info.hpp"

namespace tnm::test {
namespace {

// What CMakeLists.txt tells ctest to take for "skipped".
constexpr int kSkipped = 77;

std::vector<const Given*>& givens() {
    static std::vector<const Given*> stack;
    return stack;
}

bool wanted(const char* name, int argc, char** argv) {
    return argc < 2 || std::any_of(
                           argv + 1, argv + argc,
                           [&](const char* chosen) { return std::string(chosen) == name; });
}

bool passes(const Test& test) {
    try {
        test.run();
        return true;
    } catch (const CheckFailed&) {
    } catch (const std::exception& error) {
        std::printf("unexpected exception: %s\n", error.what());
    }
    return false;
}

}  // namespace

void fail(const std::string& expression, const char* file, int line) {
    std::printf("%s:%d: check failed: %s\n", file, line, expression.c_str());
    for (const Given* given : givens()) std::printf("    given %s\n", given->text().c_str());
    std::fflush(stdout);
    throw CheckFailed(expression);
}

Given::Given(std::function<std::string()> describe) : describe_(std::move(describe)) {
    givens().push_back(this);
}

Given::~Given() {
    givens().pop_back();
}

int run_tests(int argc, char** argv, std::initializer_list<Test> tests) {
    if (!instruction_set_error().empty()) {
        std::printf("%s\n", instruction_set_error().c_str());
        return kSkipped;
    }
    int run = 0, failed = 0;
    for (const Test& test : tests) {
        if (!wanted(test.name, argc, argv)) continue;
        ++run;
        const auto start = std::chrono::steady_clock::now();
        const bool passed = passes(test);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        std::printf("%s %s (%.2f s)\n", passed ? "passed" : "FAILED", test.name, took.count());
        std::fflush(stdout);
        failed += passed ? 0 : 1;
    }
    std::printf("%d of %d tests failed\n", failed, run);
    return failed == 0 && run > 0 ? 0 : 1;
}

}  // namespace tnm::test
