// The kernels of mnist-mlp that every instruction set provides; see the file of each for what it does.
#pragma once

#include <cstdint>

#include "kernels/adam.h"
#include "networks/mnist_mlp/layout.h"

namespace epochmark {
namespace mnist_mlp {

// Two tiles of a kernel, at most 12 rows of it, and what Adam has pending.
constexpr int kTileFloats = 2 * 12 * kColumns + 2 * 16;

// One block of a kernel's columns, going backward. `slope` is the gradient of the layer's output
// before its relu, [rows][kColumns]; slope_panels is the same transposed (transpose_slope).
struct BackwardBlock {
    const void* packed;  // the layer's input (pack)
    int rows;
    const float* slope;
    void* slope_factors;  // room for slope as a factor, where floats are none
    const void* slope_panels;
    Parameters kernel;  // of this block; with kernel.gradient nothing is updated
    const AdamStep* adam;
    float* tiles;           // scratch, kTileFloats
    float* input_gradient;  // of dense_2: this thread's share, in panels of rows
    bool first;             // starts input_gradient rather than adding to it
};

struct Table {
    int tile_rows;  // rows of a kernel that are worked on together
    int panel;      // samples of a batch that lie together in a panel

    void (*scale_pixels)(const std::uint8_t* image, float* pixels);
    // `count` numbers of a row, a multiple of 32, as the products of a forward pass take them, half as
    // many words. Null: they take floats.
    void (*round)(const float* row, int count, void* factors);
    void (*pack)(const float* features, std::int64_t stride, int rows, int tile_begin, int tile_end,
                 void* packed);

    void (*dense_1_forward)(const void* input, int rows, const float* kernel, const float* bias,
                            float* output);
    void (*dense_2_forward)(const void* input, int rows, const float* kernel, const float* bias,
                            float* output);
    void (*dense_2_backward)(const BackwardBlock* block);
    void (*dense_1_backward)(const BackwardBlock* block);
    void (*add_slopes)(const float* parts, std::int64_t part_size, int part_count, int rows,
                       int column, const float* output, float* slope);
    void (*transpose_slope)(const float* slope, int rows, void* panels);
    void (*add_rows)(const float* slope, int rows, float* sum);

    void (*classify)(const float* hidden, const float* kernel, const float* bias, int label,
                     float scale, float* delta, double* loss, std::int64_t* correct);
    void (*dense_3_backward)(const float* delta, const float* hidden, int rows,
                             const float* kernel, float* kernel_gradient, float* slope);
};

}  // namespace mnist_mlp
}  // namespace epochmark
