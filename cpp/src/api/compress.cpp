#include "tnm/compress.hpp"

#include "groups/pack_groups.hpp"
#include "parallel/guarded.hpp"

namespace tnm {

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    return guarded(
        [&] { return pack_groups(elements, mask, pattern, values, indices, overfull, execution); });
}

Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution) {
    valid_indices = true;
    if (!pattern.valid()) return Status::invalid_argument;
    return guarded([&] {
        return unpack_groups(values, indices, pattern, elements, valid_indices, execution);
    });
}

}  // namespace tnm
