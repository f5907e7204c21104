// A product cut into pieces: some tokens and some rows of the matrix, each by itself.
#include <algorithm>
#include <memory>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "products/packed_layout.hpp"
#include "products/product_kernels.hpp"
#include "products/token_rows.hpp"
#include "tnm/products.hpp"

namespace tnm {
namespace {

// Their sums stay in the second-level cache.
constexpr std::int64_t kMostRows = 1024;
constexpr std::int64_t kPiecesOfThread = 2;

struct Piece {
    std::int64_t first_token;
    int tokens;
    std::int64_t first_window;
    std::int64_t end_window;
};

const PanelKernels& panel_kernels(Dtype dtype) {
    const bool has_own = dtype == Dtype::bfloat16 && bfloat16_kernels() != nullptr;
    return has_own ? *bfloat16_kernels() : product_kernels().panel;
}

// Tokens are cut evenly, so that no vector of a panel is there for a few of them.
class PiecePlan {
  public:
    PiecePlan(std::int64_t tokens, const PackedLayout& layout, int threads)
        : tokens_(tokens), windows_(layout.windows()) {
        const PanelKernels& kernels = panel_kernels(layout.shape.dtype);
        if (tokens <= product_kernels().most_few) {
            unit_ = 1;
            units_ = tokens;
            panels_ = divide_up(tokens, kMostFewTokens);
        } else {
            unit_ = kernels.lanes;
            units_ = divide_up(tokens, unit_);
            panels_ = divide_up(units_, kernels.most_vectors);
        }
        std::int64_t parts = divide_up(layout.shape.rows, kMostRows);
        if (threads > 1) parts = std::max(parts, divide_up(threads * kPiecesOfThread, panels_));
        parts_ = std::min(parts, windows_);
    }

    std::int64_t count() const { return panels_ * parts_; }
    std::int64_t most_windows() const { return divide_up(windows_, parts_); }
    // Of one row: as many as vectors of a panel hold, or a vector for each of a few tokens.
    std::int64_t most_sums() const {
        const std::int64_t most_units = divide_up(units_, panels_);
        return most_units * (unit_ == 1 ? product_kernels().lanes : unit_);
    }
    Piece piece(std::int64_t index) const {
        const std::int64_t panel = index / parts_, part = index % parts_;
        const std::int64_t first = units_ * panel / panels_ * unit_;
        const std::int64_t end = std::min(tokens_, units_ * (panel + 1) / panels_ * unit_);
        return {first, static_cast<int>(end - first), windows_ * part / parts_,
                windows_ * (part + 1) / parts_};
    }

  private:
    std::int64_t tokens_, windows_;
    std::int64_t unit_ = 1, units_ = 0, panels_ = 0, parts_ = 0;
};

struct AlignedDelete {
    void operator()(float* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};
using FloatArray = std::unique_ptr<float, AlignedDelete>;

FloatArray allocate(std::int64_t floats) {
    const auto bytes = static_cast<std::size_t>(floats) * sizeof(float);
    return FloatArray(static_cast<float*>(::operator new(bytes, std::align_val_t{64})));
}

// What one thread needs.
class PieceWorker {
  public:
    PieceWorker(const Product& product, const PiecePlan& plan)
        : product_(product),
          reader_(product.packed),
          sums_(allocate(plan.most_windows() * kWindowRows * most_sums(plan))),
          activations_(allocate(std::max<std::int64_t>((kBlockColumns + 1) * kMostPanelTokens,
                                                       kMostFewTokens * kFewColumns))),
          turned_(allocate(kMostPanelTokens * kWindowRows)),
          values_(allocate(kWindowEntries + kMostPanelTokens)) {}

    void multiply(const Piece& piece) {
        find_tokens(product_.activations.data, product_.activations.strides, piece.first_token,
                    piece.tokens, sources_);
        find_tokens(product_.result.data, product_.result.strides, piece.first_token, piece.tokens,
                    targets_);
        if (piece.tokens <= kMostFewTokens && piece.tokens <= kernels_.most_few &&
            multiply_few(piece))
            return;
        multiply_panel(piece);
    }

  private:
    ActivationBlock activation_block(const Piece& piece, std::int64_t column, int most_columns) {
        const Strides& strides = product_.activations.strides;
        for (int t = 0; t < piece.tokens; ++t)
            moved_sources_[t] = sources_[t] + column * strides.column_stride();
        const auto left = static_cast<int>(
            std::min<std::int64_t>(most_columns, reader_.shape().columns - column));
        return {moved_sources_, piece.tokens, strides.column_stride(), left,
                product_.activations.dtype};
    }

    // Few tokens may go through a panel of one vector after all.
    std::int64_t most_sums(const PiecePlan& plan) const {
        return std::max<std::int64_t>(plan.most_sums(), panel_.lanes);
    }

    // Returns false if an activation is not finite.
    bool multiply_few(const Piece& piece) {
        clear_sums(piece, piece.tokens * kernels_.lanes);
        const std::int64_t blocks = reader_.layout().blocks();
        const std::int64_t row_floats = piece.tokens * kernels_.lanes;
        for (std::int64_t block = 0; block < blocks; block += kFewBlocks) {
            const ActivationBlock columns =
                activation_block(piece, block * kBlockColumns, kFewColumns);
            if (!kernels_.load_few(columns, activations_.get())) return false;
            const int count = static_cast<int>(std::min<std::int64_t>(kFewBlocks, blocks - block));
            for (std::int64_t w = piece.first_window; w < piece.end_window; ++w) {
                PackedWindow windows[kFewBlocks];
                for (int b = 0; b < count; ++b) windows[b] = reader_.window(block + b, w);
                kernels_.multiply_few(
                    windows, count, reader_.shape().dtype, activations_.get(), piece.tokens,
                    sums_.get() + (w - piece.first_window) * kWindowRows * row_floats);
            }
        }
        for (std::int64_t w = piece.first_window; w < piece.end_window; ++w) {
            const float* sums = sums_.get() + (w - piece.first_window) * kWindowRows * row_floats;
            kernels_.turn_few(sums, piece.tokens, rows_of(w), turned_.get());
            kernels_.finish(turned_.get(), result_block(piece, w));
        }
        return true;
    }

    void multiply_panel(const Piece& piece) {
        const int vectors = static_cast<int>(divide_up(piece.tokens, panel_.lanes));
        const int row_floats = vectors * panel_.lanes;
        clear_sums(piece, row_floats);
        for (std::int64_t block = 0; block < reader_.layout().blocks(); ++block) {
            panel_.load(activation_block(piece, block * kBlockColumns, kBlockColumns), vectors,
                        activations_.get());
            for (std::int64_t w = piece.first_window; w < piece.end_window; ++w) {
                const PackedWindow window = reader_.window(block, w);
                panel_.multiply(window, values_of(window), activations_.get(), vectors,
                                sums_.get() + (w - piece.first_window) * kWindowRows * row_floats);
            }
        }
        for (std::int64_t w = piece.first_window; w < piece.end_window; ++w) {
            const float* sums = sums_.get() + (w - piece.first_window) * kWindowRows * row_floats;
            if (has_neighbouring_rows()) {
                kernels_.turn_panel(sums, row_floats, rows_of(w), turned_.get());
                kernels_.finish(turned_.get(), result_block(piece, w));
            } else {
                kernels_.finish_rows(sums, row_floats, result_block(piece, w));
            }
        }
    }

    bool has_neighbouring_rows() const {
        return product_.result.strides.column_stride() == value_bytes(product_.result.dtype);
    }

    void clear_sums(const Piece& piece, std::int64_t row_floats) {
        std::fill_n(sums_.get(), (piece.end_window - piece.first_window) * kWindowRows * row_floats,
                    0.0F);
    }

    const void* values_of(const PackedWindow& window) {
        const bool as_they_are =
            reader_.shape().dtype == Dtype::float32 || &panel_ == bfloat16_kernels();
        if (as_they_are) return window.values;
        kernels_.widen(window.values, reader_.shape().dtype, window.kept, values_.get());
        return values_.get();
    }

    int rows_of(std::int64_t window) const {
        return static_cast<int>(std::min(kWindowRows, reader_.shape().rows - window * kWindowRows));
    }

    ResultBlock result_block(const Piece& piece, std::int64_t window) {
        const std::int64_t row = window * kWindowRows;
        const std::int64_t stride = product_.result.strides.column_stride();
        for (int t = 0; t < piece.tokens; ++t) moved_targets_[t] = targets_[t] + row * stride;
        return {moved_targets_,
                piece.tokens,
                stride,
                rows_of(window),
                product_.result.dtype,
                product_.bias == nullptr ? nullptr : product_.bias + row,
                product_.activation};
    }

    const Product& product_;
    PackedReader reader_;
    const ProductKernels& kernels_ = product_kernels();
    const PanelKernels& panel_ = panel_kernels(reader_.shape().dtype);
    FloatArray sums_, activations_, turned_, values_;
    const std::byte* sources_[kMostPanelTokens];
    const std::byte* moved_sources_[kMostPanelTokens];
    std::byte* targets_[kMostPanelTokens];
    std::byte* moved_targets_[kMostPanelTokens];
};

}  // namespace

Status multiply(const Product& product, const Execution& execution) {
    const PackedLayout layout(shape_in(product.packed));
    const std::int64_t tokens = count_tokens(product.activations.strides);
    if (tokens == 0 || layout.shape.rows == 0) return Status::ok;
    const PiecePlan plan(tokens, layout, execution.threads);
    return guarded([&] {
        return parallel_for(plan.count(), execution, [&]() -> Worker {
            auto worker = std::make_shared<PieceWorker>(product, plan);
            return [&plan, worker](std::int64_t index) {
                worker->multiply(plan.piece(index));
                return Status::ok;
            };
        });
    });
}

}  // namespace tnm
