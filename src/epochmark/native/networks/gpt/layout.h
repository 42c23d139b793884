// A GPT's sizes, and where each of its arrays lies: as workloads hold them, and as they are stored.
#pragma once

#include <cstddef>
#include <vector>

namespace epochmark {
namespace gpt {

// The words are those of workloads/spec.py. All but blocks and heads are multiples of 32, and so is
// width / heads: every matrix is whole panels (see products.h).
struct Sizes {
    int blocks, width, heads, feed_forward, context, vocabulary;
};

// A matrix in panels; a vector is a matrix of one row. `transposed`: where the same matrix is kept
// with rows and columns exchanged, for products with it; the table and all kernels are.
struct Tensor {
    std::size_t offset;
    int rows, columns;
    std::ptrdiff_t transposed;  // -1: is not
    std::size_t count() const { return std::size_t(rows) * std::size_t(columns); }
};

struct Block {
    Tensor norm_1_scale, norm_1_bias;
    Tensor attention, attention_bias;  // query, key and value side by side
    Tensor output, output_bias;
    Tensor norm_2_scale, norm_2_bias;
    Tensor wide, wide_bias;
    Tensor narrow, narrow_bias;
};

// One array of the workload: its place there and here.
struct Piece {
    std::size_t plain, stored;
    int rows, columns;
};

struct Layout {
    explicit Layout(const Sizes& sizes);

    Tensor table, positions;
    std::vector<Block> blocks;
    Tensor norm_scale, norm_bias;

    std::vector<Tensor> tensors;  // all of the above
    std::vector<Piece> pieces;
    std::size_t parameters = 0;
    std::size_t transposed = 0;  // floats of all transposed matrices
};

}  // namespace gpt
}  // namespace epochmark
