// The kernels of a GPT that every instruction set provides; see the file of each for what it does.
#pragma once

#include <cstdint>

#include "kernels/adam.h"

namespace epochmark {
namespace gpt {

constexpr float kNormEpsilon = 1e-5f;

// A matrix in panels of as many columns as Kernels::panel says: element (row, column) is at
// data[column / panel * stride + row * panel + column % panel].
struct Panels {
    float* data;
    std::int64_t stride;
};

// What one product is to do with its result.
enum class Into { replace, add };

// One layer's normalisation of `rows` positions: what forward leaves for backward, and parameters.
struct Norm {
    const float* scale;
    const float* bias;
    Panels normalised;  // without mean, of unit variance
    float* deviation;   // 1 / sqrt(variance + epsilon), of each row
};

// One sequence's attention. `joined` has the columns of query, key and value side by side; so has its
// gradient. `scratch` holds attention_scratch() floats.
struct Attention {
    int context, width, heads;
    Panels joined, result;
    float* softmax;  // [heads][context][2]: each row's largest scaled score, one over its sum
    float* scratch;
};

// A branch with one hidden layer, over some positions; `before` is what the activation takes.
struct FeedForward {
    int rows, width, hidden;
    Panels wide, narrow;                        // kernels
    Panels wide_transposed, narrow_transposed;  // backward
    const float* wide_bias;
    const float* narrow_bias;
    Panels input, before;
    float* scratch;  // 2 * rows * kHiddenGroup floats
};

// Gradients of its parameters, and how they are given.
struct FeedForwardGradient {
    Into into;
    Panels wide, narrow;
    float* wide_bias;
    float* narrow_bias;
};

// Of a feed-forward network's hidden units that are worked on together.
constexpr int kHiddenGroup = 256;
// Positions whose scores of all symbols are held at one time, and whose scores of all earlier
// positions are.
constexpr int kScoredRows = 128;

// Of the targets of some positions.
struct Scored {
    double loss_sum;
    std::int64_t correct;
};

struct Table {
    // c = a b (+ bias) or c += a b (+ bias). a [rows][depth], b [depth][columns], bias may be null.
    void (*multiply)(int rows, int depth, int columns, Panels a, Panels b, const float* bias,
                     Into into, Panels c);
    // c = a' b or c += a' b, and the same of b's columns' sums. a [rows][inputs], b [rows][outputs].
    void (*multiply_transposed)(int rows, int inputs, int outputs, Panels a, Panels b, Into into,
                                Panels c, float* column_sums);

    // One sequence: rows of the table, those of the positions added.
    void (*embed)(const std::uint8_t* symbols, int context, int width, Panels table,
                  Panels positions, Panels values);
    // Adds the gradients of both.
    void (*embed_backward)(const std::uint8_t* symbols, int context, int width, Panels gradient,
                           Panels table_gradient, Panels position_gradient);

    void (*normalise)(int rows, int width, Panels values, const Norm* norm, Panels result);
    // The result once more, from what was left.
    void (*normalise_again)(int rows, int width, const Norm* norm, Panels result);
    // Adds to the gradients of values, scale and bias.
    void (*normalise_backward)(int rows, int width, Panels result_gradient, const Norm* norm,
                               Panels gradient, float* scale_gradient, float* bias_gradient);

    std::int64_t (*attention_scratch)(int context, int width, int heads);
    void (*attend)(const Attention* attention);
    void (*attend_backward)(const Attention* attention, Panels result_gradient,
                            Panels joined_gradient);

    // values += the branch's result, and what `before` takes.
    void (*feed_forward)(const FeedForward* layer, Panels values);
    // From the gradient of the result: that of the input, and the parameters'.
    void (*feed_forward_backward)(const FeedForward* layer, Panels gradient, Panels input_gradient,
                                  const FeedForwardGradient* parameters);

    // Scores [rows][vocabulary] to their gradient times `scale`.
    Scored (*score)(int rows, int vocabulary, Panels scores, const std::uint8_t* targets, float scale);

    // The sum of `parts` gradients, each `count` floats at `offset`, in their order.
    void (*sum)(const float* const* gradients, int parts, std::int64_t offset, int count, float* total);
    // A square of panel x panel elements, rows one after the other.
    void (*transpose_square)(const float* from, float* to);
};

}  // namespace gpt
}  // namespace epochmark
