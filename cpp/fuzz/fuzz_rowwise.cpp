// Any bytes are an array and a pattern; the row-wise mask keeps the highest of every group.
#include <numeric>
#include <vector>

#include "reader.hpp"
#include "support/verify.hpp"
#include "tnm/finite.hpp"
#include "tnm/rowwise.hpp"

namespace tnm::test {
namespace {

// The naive mask of one row of a tile: a stable sort, then the first n.
std::vector<bool> keep_top(const Tile& tile, int row) {
    const auto score = [&](int j) { return tile(row, j); };
    std::vector<int> order(static_cast<std::size_t>(tile.columns));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score(a) > score(b); });
    std::vector<bool> kept(order.size());
    for (int k = 0; k < std::min(tile.pattern.n, tile.columns); ++k) {
        const int j = order[static_cast<std::size_t>(k)];
        kept[static_cast<std::size_t>(j)] = tile.columns == tile.pattern.m || score(j) > 0.0;
    }
    return kept;
}

void check_one(Reader reader) {
    const Pattern pattern = read_pattern(reader);
    const auto score = static_cast<Score>(reader.between(0, 2));
    const Execution execution = read_execution(reader);
    const Array array = read_array(reader, pattern.m, score);
    const Given given(
        [&] { return join(array.description(), ", pattern ", pattern.n, ":", pattern.m); });
    MaskArray mask(array.shape());
    const Status status = nm_mask(array.view(), mask.view(), pattern, score, execution);
    std::optional<std::int64_t> non_finite;
    TNM_CHECK(find_non_finite(array.view(), non_finite, execution) == Status::ok);
    TNM_CHECK(status == (non_finite ? Status::non_finite_score : Status::ok));
    if (status != Status::ok) return;
    TNM_CHECK(mask.well_formed());
    // The references have doubles.
    if (array.dtype() == Dtype::int64 || array.dtype() == Dtype::uint64) return;
    if (score == Score::square && item_size(array.dtype()) >= 4) return;
    const auto tiles = tiles_of(array, pattern, score);
    const auto flags = tiles_of(mask, pattern.m);
    for (std::size_t t = 0; t < tiles.size(); ++t)
        for (int i = 0; i < tiles[t].rows; ++i) {
            const std::vector<bool> expected = keep_top(tiles[t], i);
            for (int j = 0; j < tiles[t].columns; ++j) {
                const auto k = static_cast<std::size_t>(i * tiles[t].columns + j);
                TNM_CHECK((flags[t][k] != 0) == expected[static_cast<std::size_t>(j)]);
            }
        }
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
