// The feed-forward branch: two products with GELU between them, and what goes back through them.
//
// kHiddenGroup hidden units are taken through all steps before the next ones: their activations (256 kB
// of 256 positions) stay in L2 between the product that makes them and those that use them, and never
// exist for all units. What is kept for backward is the activation's argument alone: making the activation
// again costs as much time as reading it would. GELU is applied to each panel when its product ends.
//
// GELU in the tanh form (Hendrycks and Gimpel 2016) is x times the logistic function of 2u,
// u = sqrt(2 / pi) (x + 0.044715 x^3), since (1 + tanh u) / 2 = 1 / (1 + exp(-2u)).

#include "kernels/exponential.h"
#include "networks/gpt/products.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

constexpr float kTwiceSlope = 1.5957691216057308f;  // 2 sqrt(2 / pi)
constexpr float kCube = 0.044715f;

struct Logistic {
    Vec power, share;  // exp(-2u), 1 / (1 + exp(-2u))
};

EPOCHMARK_INLINE Logistic logistic(Vec x, Vec square) {
    const Vec power =
        power_of_2(x * (square * (-kTwiceSlope * kCube * kLog2OfE) - kTwiceSlope * kLog2OfE));
    return {power, 1.0f / (1.0f + power)};
}

EPOCHMARK_APART void gelu(int count, const float* before, float* after) {
    for (int i = 0; i < count; i += kLanes) {
        const Vec x = load(before + i);
        store(after + i, x * logistic(x, x * x).share);
    }
}

// `gradient` of the activations to that of their arguments, and the activations once more.
EPOCHMARK_APART void gelu_backward(int count, const float* before, float* after, float* gradient) {
    for (int i = 0; i < count; i += kLanes) {
        const Vec x = load(before + i), square = x * x;
        const Logistic at = logistic(x, square);
        const Vec value = x * at.share;
        // of the logistic function: (power * share) is 1 - share without cancellation
        const Vec inner = square * (3.0f * kTwiceSlope * kCube) + kTwiceSlope;
        const Vec slope = at.share + value * (at.power * at.share) * inner;
        store(after + i, value);
        store(gradient + i, load(gradient + i) * slope);
    }
}

EPOCHMARK_INLINE int group_at(const FeedForward& layer, int unit) {
    const int left = layer.hidden - unit;
    return left < kHiddenGroup ? left : kHiddenGroup;
}

}  // namespace

void feed_forward(const FeedForward* layer, Panels values) {
    const int rows = layer->rows, width = layer->width;
    const Panels after{layer->scratch, ptrdiff_t(rows) * kPanel};
    for (int unit = 0; unit < layer->hidden; unit += kHiddenGroup) {
        const int group = group_at(*layer, unit);
        const Panels before = from_column(layer->before, unit);
        multiply_then(rows, width, group, layer->input, from_column(layer->wide, unit),
                      layer->wide_bias + unit, Into::replace, before,
                      [&](int row, int count, int column) {
                          gelu(count * kPanel, panel_of(from_row(before, row), column),
                               panel_of(from_row(after, row), column));
                      });
        multiply(rows, group, width, after, from_row(layer->narrow, unit),
                 unit == 0 ? layer->narrow_bias : nullptr, Into::add, values);
    }
}

void feed_forward_backward(const FeedForward* layer, Panels gradient, Panels input_gradient,
                           const FeedForwardGradient* parameters) {
    const int rows = layer->rows, width = layer->width;
    const ptrdiff_t stride = ptrdiff_t(rows) * kPanel;
    const Panels after{layer->scratch, stride};
    const Panels inner{layer->scratch + ptrdiff_t(rows) * kHiddenGroup, stride};
    for (int unit = 0; unit < layer->hidden; unit += kHiddenGroup) {
        const int group = group_at(*layer, unit);
        const Panels before = from_column(layer->before, unit);
        multiply_then(rows, width, group, gradient, from_column(layer->narrow_transposed, unit),
                      nullptr, Into::replace, inner, [&](int row, int count, int column) {
                          gelu_backward(count * kPanel, panel_of(from_row(before, row), column),
                                        panel_of(from_row(after, row), column),
                                        panel_of(from_row(inner, row), column));
                      });
        multiply_transposed(rows, group, width, after, gradient, parameters->into,
                            from_row(parameters->narrow, unit),
                            unit == 0 ? parameters->narrow_bias : nullptr);
        multiply_transposed(rows, width, group, layer->input, inner, parameters->into,
                            from_column(parameters->wide, unit), parameters->wide_bias + unit);
        multiply(rows, group, width, inner, from_row(layer->wide_transposed, unit), nullptr,
                 unit == 0 ? Into::replace : Into::add, input_gradient);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
