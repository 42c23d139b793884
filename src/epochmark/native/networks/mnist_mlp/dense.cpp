// dense_1 (784 -> 2048) and dense_2 (2048 -> 2048): all but a hundredth of the arithmetic, and weights
// and moments that no cache near a core holds, 70 MB. A step reads each weight once forward and once
// backward, and each moment once.
//
// Kernels are stored in blocks of kColumns columns, [columns / 64][rows][64], which belong to one thread
// in every step: a weight and its moments are touched by one core only. A block is walked from its first
// row to its last, so that all three arrays are read as streams.
//
// Forward, kDepth rows of a block stay in L1 while the batch passes by. Backward takes kTileRows rows at a
// time through everything while they are in L1: the gradient of the layer's input with the old weights, the
// gradient of the weights, Adam. The weights' gradient never exists as a whole: it is a tile of 3 kB, and
// Adam goes over it while the next tile's products run (adam_beside.h).
//
// The gradient of the input is made transposed, [row of the kernel][sample]: then the weights are the
// factors that are broadcast and need no transposition. Samples are padded to whole panels of zeros.

#include "networks/mnist_mlp/kernels.h"
#include "kernels/adam_beside.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"
#include "kernels/transpose.h"

namespace epochmark {
namespace mnist_mlp {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

namespace {

static_assert(kColumns % kPanel == 0 && kPanel % kLanes == 0, "whole panels");
static_assert((kPixels + kTileRows - 1) / kTileRows * kTileRows <= kPixelStride &&
                  (kUnits + kTileRows - 1) / kTileRows * kTileRows <= kUnitStride,
              "the last tile ends within the padding");

constexpr int kTile = kTileRows * kColumns;

// Fetches the next rows of a block, `per_row` lines for each row of the batch that a product has done.
struct Ahead {
    const float* next;
    int per_row;
    EPOCHMARK_INLINE void operator()(int rows) {
        for (int line = rows * per_row; line > 0; --line, next += 16) __builtin_prefetch(next, 0, 2);
    }
};

void add_bias_and_relu(int rows, const float* bias, float* output) {
    for (int row = 0; row < rows; ++row, output += kUnitStride)
        for (int j = 0; j < kColumns; j += kLanes)
            store(output + j, relu(load(output + j) + load(bias + j)));
}

// output [rows][kUnitStride], this block's columns: relu(input @ kernel + bias)
template <int kIn, int kStrideIn, int kDepth>
EPOCHMARK_INLINE void forward(const float* input, int rows, const float* kernel, const float* bias,
                              float* output) {
    constexpr int kLines = kDepth * kColumns / 16;
    const int per_row = (kLines * kPanel / kColumns + rows - 1) / rows;
    for (int k = 0; k < kIn; k += kDepth) {
        const int depth = kIn - k < kDepth ? kIn - k : kDepth;
        Ahead ahead{kernel + (k + kDepth) * kColumns, per_row};
        for (int column = 0; column < kColumns; column += kPanel)
            gemm_column<kTileVectors, kStrideIn, 1, kColumns, kUnitStride, Ahead&>(
                rows, depth, input + k, kernel + k * kColumns + column, output + column, k > 0,
                ahead);
    }
    add_bias_and_relu(rows, bias, output);
}

// The steps of a tile's products with 64 samples for each vector of Adam.
constexpr int steps_for_each(int products) {
    return 64 * (kColumns / kPanel) * products / (kTile / kLanes);
}

// kRows rows of the gradient of the layer's input, from row i of the kernel.
template <int kRows>
EPOCHMARK_INLINE void input_gradient(const BackwardBlock& block, int i, AdamBeside& adam) {
    float* c = block.input_gradient + i * kPanel;
    for (int sample = 0; sample < block.rows; sample += kPanel, c += kUnitStride * kPanel)
        gemm_tile_beside<kRows, kTileVectors, kColumns, 1, kPanel, kPanel, steps_for_each(2)>(
            kColumns, block.kernel.value + i * kColumns, block.slope_panels + sample * kColumns, c,
            !block.first, adam);
}

// kPassesOn: with the gradient of the layer's input.
template <int kIn, bool kPassesOn>
EPOCHMARK_INLINE void backward(const BackwardBlock& block) {
    const float* packed = block.packed;
    AdamBeside adam(block.kernel, block.adam, block.tiles + 2 * kTile, kTile);
    for (int i = 0, odd = 0; i < kIn; i += kTileRows, odd ^= 1, packed += block.rows * kTileRows) {
        const bool whole = i + kTileRows <= kIn;
        if (kPassesOn && whole) input_gradient<kTileRows>(block, i, adam);
        if (kPassesOn && !whole) input_gradient<kIn % kTileRows>(block, i, adam);
        float* gradient = block.tiles + odd * kTile;
        for (int column = 0; column < kColumns; column += kPanel)
            gemm_tile_beside<kTileRows, kTileVectors, 1, kTileRows, kColumns, kColumns,
                             steps_for_each(kPassesOn ? 2 : 1)>(
                block.rows, packed, block.slope + column, gradient + column, false, adam);
        adam.finish();
        const int count = (whole ? kTileRows : kIn % kTileRows) * kColumns;
        if (!block.kernel.gradient) {
            adam.start(gradient, count);
            continue;
        }
        for (int j = 0; j < count; j += kLanes)
            store(block.kernel.gradient + i * kColumns + j, load(gradient + j));
    }
    adam.finish();
    adam.end();
}

}  // namespace

void scale_pixels(const uint8_t* image, float* pixels) {
    for (int i = 0; i < kPixels; ++i) pixels[i] = float(image[i]) / 255.0f;
}

// features [rows][stride] -> [tile][rows][kTileRows]: what the gradient of a kernel takes.
void pack(const float* features, int64_t stride, int rows, int tile_begin, int tile_end,
          float* packed) {
    for (int tile = tile_begin; tile < tile_end; ++tile)
        for (int row = 0; row < rows; ++row)
            __builtin_memcpy(packed + (ptrdiff_t(tile) * rows + row) * kTileRows,
                             features + row * stride + tile * kTileRows, kTileRows * sizeof(float));
}

void dense_1_forward(const float* input, int rows, const float* kernel, const float* bias,
                     float* output) {
    forward<kPixels, kPixelStride, 112>(input, rows, kernel, bias, output);
}

void dense_2_forward(const float* input, int rows, const float* kernel, const float* bias,
                     float* output) {
    forward<kUnits, kUnitStride, 128>(input, rows, kernel, bias, output);
}

void dense_1_backward(const BackwardBlock* block) { backward<kPixels, false>(*block); }

void dense_2_backward(const BackwardBlock* block) { backward<kUnits, true>(*block); }

// The gradient of dense_1's output, kColumns columns from `column`: the threads' shares of it, which
// are [panel of samples][kUnitStride][kPanel], in the order of the threads, where relu let it pass.
void add_slopes(const float* parts, int64_t part_size, int part_count, int rows, int column,
                const float* output, float* slope) {
    for (int sample = 0; sample < rows; sample += kLanes) {
        const float* from = parts + ptrdiff_t(sample / kPanel) * kUnitStride * kPanel +
                            ptrdiff_t(column) * kPanel + sample % kPanel;
        const int count = rows - sample < kLanes ? rows - sample : kLanes;
        for (int j = 0; j < kColumns; j += kLanes) {
            Vec square[kLanes];
            for (int i = 0; i < kLanes; ++i) {
                square[i] = load(from + (j + i) * kPanel);
                for (int part = 1; part < part_count; ++part)
                    square[i] += load(from + part * part_size + (j + i) * kPanel);
            }
            transpose(square);
            for (int i = 0; i < count; ++i) {
                const Vec value = load(output + ptrdiff_t(sample + i) * kUnitStride + column + j);
                store(slope + (sample + i) * kColumns + j, select(value > 0.0f, square[i]));
            }
        }
    }
}

// slope [rows][kColumns] -> [panel][kColumns][kPanel], with zeros for samples that there are not.
void transpose_slope(const float* slope, int rows, float* panels) {
    for (int sample = 0; sample < (rows + kPanel - 1) / kPanel * kPanel; sample += kLanes) {
        float* to = panels + ptrdiff_t(sample / kPanel) * kColumns * kPanel + sample % kPanel;
        for (int j = 0; j < kColumns; j += kLanes) {
            Vec square[kLanes];
            for (int i = 0; i < kLanes; ++i)
                square[i] = sample + i < rows ? load(slope + (sample + i) * kColumns + j) : zero();
            transpose(square);
            for (int i = 0; i < kLanes; ++i) store(to + (j + i) * kPanel, square[i]);
        }
    }
}

// The sum of the rows: the gradient of a bias.
void add_rows(const float* slope, int rows, float* sum) {
    for (int j = 0; j < kColumns; j += kLanes) {
        Vec total = zero();
        for (int row = 0; row < rows; ++row) total += load(slope + row * kColumns + j);
        store(sum + j, total);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_mlp
}  // namespace epochmark
