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
//
// In bfloat16 (factors.h) activations are rounded once, kernels where they are taken up: a panel forward,
// a tile backward. What is stored stays float32.

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
static_assert(kPixels % kTogether == 0 && kColumns % (kLanes * kTogether) == 0, "whole factors");

// Rows of a kernel's panel, and a tile of it, as factors.
#if EPOCHMARK_BFLOAT16

constexpr int kPanelStep = kPanel;

// kLanes factors of a row, whatever they are.
EPOCHMARK_INLINE Vec words(const float* from) {
    Factor pairs[kLanes];
    round_row(from, pairs);
    return load(reinterpret_cast<const float*>(pairs));
}

EPOCHMARK_INLINE const Factor* panel_factors(const float* panel, int depth, Factor* room) {
    Factor* to = room;
    for (int k = 0; k < depth; k += 2, panel += 2 * kColumns, to += kPanel)
        for (int j = 0; j < kPanel; j += kLanes)
            round_rows(panel + j, panel + kColumns + j, to + j);
    return room;
}

EPOCHMARK_INLINE const Factor* row_factors(const float* rows, int count, Factor* room) {
    for (int i = 0; i < count * kColumns; i += 2 * kLanes) round_row(rows + i, room + i / 2);
    return room;
}

#else

constexpr int kPanelStep = kColumns;

EPOCHMARK_INLINE Vec words(const float* from) { return load(from); }

EPOCHMARK_INLINE const Factor* panel_factors(const float* panel, int, Factor*) { return panel; }
EPOCHMARK_INLINE const Factor* row_factors(const float* rows, int, Factor*) { return rows; }

#endif

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
EPOCHMARK_INLINE void forward(const void* given, int rows, const float* kernel, const float* bias,
                              float* output) {
    const Factor* input = static_cast<const Factor*>(given);
    Room<kDepth, kPanel> room;
    constexpr int kLines = kDepth * kColumns / 16;
    const int per_row = (kLines * kPanel / kColumns + rows - 1) / rows;
    for (int k = 0; k < kIn; k += kDepth) {
        const int depth = kIn - k < kDepth ? kIn - k : kDepth;
        Ahead ahead{kernel + (k + kDepth) * kColumns, per_row};
        for (int column = 0; column < kColumns; column += kPanel)
            gemm_column<kTileVectors, kStrideIn / kTogether, 1, kPanelStep, kUnitStride, Ahead&>(
                rows, depth / kTogether, input + k / kTogether,
                panel_factors(kernel + k * kColumns + column, depth, room.data), output + column,
                k > 0, ahead);
    }
    add_bias_and_relu(rows, bias, output);
}

// The steps of a tile's products with 64 samples for each vector of Adam.
constexpr int steps_for_each(int products) {
    return 64 / kTogether * (kColumns / kPanel) * products / (kTile / kLanes);
}

// kRows rows of the gradient of the layer's input, from row i of the kernel.
template <int kRows>
EPOCHMARK_INLINE void input_gradient(const BackwardBlock& block, int i, AdamBeside& adam) {
    Room<kRows, kColumns> room;
    const Factor* kernel = row_factors(block.kernel.value + i * kColumns, kRows, room.data);
    const Factor* slopes = static_cast<const Factor*>(block.slope_panels);
    constexpr int kSteps = kColumns / kTogether;
    float* c = block.input_gradient + i * kPanel;
    for (int sample = 0; sample < block.rows; sample += kPanel, c += kUnitStride * kPanel)
        gemm_tile_beside<kRows, kTileVectors, kSteps, 1, kPanel, kPanel, steps_for_each(2)>(
            kSteps, kernel, slopes + sample * kSteps, c, !block.first, adam);
}

// The slopes of a block as the gradient of the kernel takes them.
const Factor* slope_factors(const BackwardBlock& block) {
#if EPOCHMARK_BFLOAT16
    const auto row = [&](int i, int j) {
        return i < block.rows ? load(block.slope + i * kColumns + j) : zero();
    };
    Factor* to = static_cast<Factor*>(block.slope_factors);
    for (int i = 0; i < block.rows; i += 2)
        for (int j = 0; j < kColumns; j += kLanes, to += kLanes)
            store(to, rounded_together(row(i, j), row(i + 1, j)));
    return static_cast<const Factor*>(block.slope_factors);
#else
    return block.slope;
#endif
}

// kPassesOn: with the gradient of the layer's input.
template <int kIn, bool kPassesOn>
EPOCHMARK_INLINE void backward(const BackwardBlock& block) {
    const Factor* packed = static_cast<const Factor*>(block.packed);
    const Factor* slope = slope_factors(block);
    const int steps = (block.rows + kTogether - 1) / kTogether;
    AdamBeside adam(block.kernel, block.adam, block.tiles + 2 * kTile, kTile);
    for (int i = 0, odd = 0; i < kIn; i += kTileRows, odd ^= 1, packed += steps * kTileRows) {
        const bool whole = i + kTileRows <= kIn;
        if (kPassesOn && whole) input_gradient<kTileRows>(block, i, adam);
        if (kPassesOn && !whole) input_gradient<kIn % kTileRows>(block, i, adam);
        float* gradient = block.tiles + odd * kTile;
        for (int column = 0; column < kColumns; column += kPanel)
            gemm_tile_beside<kTileRows, kTileVectors, 1, kTileRows, kColumns, kColumns,
                             steps_for_each(kPassesOn ? 2 : 1)>(
                steps, packed, slope + column, gradient + column, false, adam);
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
          void* packed) {
    const int steps = (rows + kTogether - 1) / kTogether;
    for (int tile = tile_begin; tile < tile_end; ++tile)
        for (int step = 0; step < steps; ++step) {
            const float* from = features + step * kTogether * stride + tile * kTileRows;
            Factor* to = static_cast<Factor*>(packed) + (ptrdiff_t(tile) * steps + step) * kTileRows;
#if EPOCHMARK_BFLOAT16
            const Vec second = 2 * step + 1 < rows ? load(from + stride) : zero();
            Factor pairs[kLanes];  // of which those of the tile are kept
            store(pairs, rounded_together(load(from), second));
            from = reinterpret_cast<const float*>(pairs);
#endif
            __builtin_memcpy(to, from, kTileRows * sizeof(Factor));
        }
}

#if EPOCHMARK_BFLOAT16
void round(const float* row, int count, void* factors) {
    for (int i = 0; i < count; i += 2 * kLanes)
        round_row(row + i, static_cast<Factor*>(factors) + i / 2);
}
#endif

void dense_1_forward(const void* input, int rows, const float* kernel, const float* bias,
                     float* output) {
    forward<kPixels, kPixelStride, 112 * kTogether>(input, rows, kernel, bias, output);
}

void dense_2_forward(const void* input, int rows, const float* kernel, const float* bias,
                     float* output) {
    forward<kUnits, kUnitStride, 128 * kTogether>(input, rows, kernel, bias, output);
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

// slope [rows][kColumns] -> [panel][kColumns][kPanel], with zeros for samples that there are not. Pairs
// are those of columns.
void transpose_slope(const float* slope, int rows, void* panels) {
    constexpr int kSteps = kColumns / kTogether;
    for (int sample = 0; sample < (rows + kPanel - 1) / kPanel * kPanel; sample += kLanes) {
        float* to = static_cast<float*>(panels) + ptrdiff_t(sample / kPanel) * kSteps * kPanel +
                    sample % kPanel;
        for (int j = 0; j < kSteps; j += kLanes) {
            Vec square[kLanes];
            for (int i = 0; i < kLanes; ++i)
                square[i] = sample + i < rows
                                ? words(slope + (sample + i) * kColumns + j * kTogether)
                                : zero();
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
