#include "networks/gpt/layout.h"

namespace epochmark {
namespace gpt {

namespace {

// Lays arrays one after the other, in the workload's order: what is not stored in that order (the
// three kernels of attention, then their biases) gives its places later.
class Places {
  public:
    explicit Places(Layout& layout) : layout_(layout) {}

    Tensor add(int rows, int columns, bool transposed) {
        const Tensor tensor = store(rows, columns, transposed);
        piece(tensor.offset, rows, columns);
        return tensor;
    }

    Tensor store(int rows, int columns, bool transposed) {
        Tensor tensor{layout_.parameters, rows, columns, -1};
        layout_.parameters += tensor.count();
        if (transposed) {
            tensor.transposed = std::ptrdiff_t(layout_.transposed);
            layout_.transposed += tensor.count();
        }
        layout_.tensors.push_back(tensor);
        return tensor;
    }

    // The workload's next array is stored there.
    void piece(std::size_t stored, int rows, int columns) {
        layout_.pieces.push_back({plain_, stored, rows, columns});
        plain_ += std::size_t(rows) * std::size_t(columns);
    }

  private:
    Layout& layout_;
    std::size_t plain_ = 0;
};

Block add_block(Places& places, const Sizes& sizes) {
    const int width = sizes.width;
    Block block;
    block.norm_1_scale = places.add(1, width, false);
    block.norm_1_bias = places.add(1, width, false);
    block.attention = places.store(width, 3 * width, true);
    block.attention_bias = places.store(1, 3 * width, false);
    const std::size_t units = std::size_t(width);
    for (std::size_t part = 0; part < 3; ++part) {
        places.piece(block.attention.offset + part * units * units, width, width);
        places.piece(block.attention_bias.offset + part * units, 1, width);
    }
    block.output = places.add(width, width, true);
    block.output_bias = places.add(1, width, false);
    block.norm_2_scale = places.add(1, width, false);
    block.norm_2_bias = places.add(1, width, false);
    block.wide = places.add(width, sizes.feed_forward, true);
    block.wide_bias = places.add(1, sizes.feed_forward, false);
    block.narrow = places.add(sizes.feed_forward, width, true);
    block.narrow_bias = places.add(1, width, false);
    return block;
}

}  // namespace

Layout::Layout(const Sizes& sizes) {
    Places places(*this);
    table = places.add(sizes.vocabulary, sizes.width, true);
    positions = places.add(sizes.context, sizes.width, false);
    for (int i = 0; i < sizes.blocks; ++i) blocks.push_back(add_block(places, sizes));
    norm_scale = places.add(1, sizes.width, false);
    norm_bias = places.add(1, sizes.width, false);
}

}  // namespace gpt
}  // namespace epochmark
