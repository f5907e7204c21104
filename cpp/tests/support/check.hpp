// Checks and a runner for plain test programs.
//
// A failing check prints what was checked, where, and the input that was being tested; it ends its
// test, the remaining tests still run, and the program returns non-zero. Checks do not depend on
// NDEBUG. They belong on the main thread.
#pragma once

#include <functional>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

namespace tnm::test {

struct CheckFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string& expression, const char* file, int line);

// While it lives, failing checks also print this description of the input.
class Given {
  public:
    explicit Given(std::function<std::string()> describe);
    ~Given();
    Given(const Given&) = delete;
    Given& operator=(const Given&) = delete;

    std::string text() const { return describe_(); }

  private:
    std::function<std::string()> describe_;
};

template <class... Parts>
std::string join(const Parts&... parts) {
    std::ostringstream text;
    text.precision(17);
    (text << ... << parts);
    return text.str();
}

template <class A, class B>
void check_equal(const A& a, const B& b, const char* expression, const char* file, int line) {
    if (!(a == b)) fail(join(expression, "  [", +a, " != ", +b, "]"), file, line);
}

struct Test {
    const char* name;
    void (*run)();
};

// Runs the tests named on the command line, or all of them. Returns main's exit status: 77 if
// TNM_FORCE_ISA names an instruction set that this machine does not have.
int run_tests(int argc, char** argv, std::initializer_list<Test> tests);

}  // namespace tnm::test

#define TNM_CHECK(...) \
    ((__VA_ARGS__) ? void() : ::tnm::test::fail(#__VA_ARGS__, __FILE__, __LINE__))
// For two numbers; prints both.
#define TNM_CHECK_EQUAL(a, b) ::tnm::test::check_equal((a), (b), #a " == " #b, __FILE__, __LINE__)
