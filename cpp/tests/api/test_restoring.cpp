// A mask that was half written holds again what it held before.
#include "tnm/restoring.hpp"

#include <array>
#include <initializer_list>
#include <vector>

#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

struct Layout {
    std::array<std::int64_t, 3> shape, bytes;
    std::int64_t first, memory;  // where the first flag is, and how many bytes there are
};

const std::initializer_list<Layout> kLayouts = {
    {{1, 1, 1}, {1, 1, 1}, 0, 1},
    {{2, 3, 5}, {15, 5, 1}, 0, 30},
    {{2, 3, 5}, {15, 1, 3}, 0, 30},
    {{2, 3, 5}, {40, 12, 2}, 1, 90},
    {{2, 3, 5}, {-15, -5, -1}, 29, 30},
    {{0, 3, 5}, {15, 5, 1}, 0, 0},
    {{70, 60, 64}, {3840, 64, 1}, 0, 268800},
    {{3, 70000, 2}, {2, 6, 1}, 0, 420000},
    {{2, 1, 70001}, {70003, 1, 1}, 0, 140004},
};

void check_layout(const Layout& layout, int most, Status status) {
    const Given given([&] { return join("memory ", layout.memory, ", flags up to ", most); });
    Random random(1);
    std::vector<std::uint8_t> memory(static_cast<std::size_t>(layout.memory));
    for (std::uint8_t& flag : memory) flag = static_cast<std::uint8_t>(random.between(0, most));
    const std::vector<std::uint8_t> before = memory;
    MaskView mask{memory.data() + layout.first, {}};
    mask.strides.rank = 3;
    for (std::size_t k = 0; k < 3; ++k) {
        mask.strides.shape[k] = layout.shape[k];
        mask.strides.bytes[k] = layout.bytes[k];
    }
    const auto [planes, rows, columns] = layout.shape;
    const auto write = [&, planes = planes, rows = rows, columns = columns] {
        for (std::int64_t p = 0; p < planes; ++p)
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < columns; ++c)
                    mask.data[mask.strides.offset(p, r, c)] ^= 1;
        return status;
    };
    TNM_CHECK(restoring(mask, Execution{2, nullptr, nullptr}, write) == status);
    TNM_CHECK((memory == before) == (status != Status::ok || memory.empty()));
}

void test_failures() {
    for (const Layout& layout : kLayouts)
        for (const int most : {1, 255})
            for (const Status status : {Status::non_finite_score, Status::interrupted})
                check_layout(layout, most, status);
}

void test_success() {
    for (const Layout& layout : kLayouts)
        for (const int most : {1, 255}) check_layout(layout, most, Status::ok);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv, {{"failures", test_failures}, {"success", test_success}});
}
