// Layer normalisation, a row at a time while it is in L1: three passes over its 1 kB forward (mean,
// variance without it, result), two backward. A hundredth of a step's time. The normalised values are
// kept for backward and the results are not: a multiply-add each, done again when they are needed.
//
// The gradients of scale and bias are summed over the rows of a call first, then added: sums in
// levels round less.

#include "kernels/lanes.h"
#include "networks/gpt/products.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

// Calls work(column, float offset in the row) for each vector of a row.
template <typename Work>
EPOCHMARK_INLINE void for_vectors(int width, Work work) {
    for (int column = 0; column < width; column += kPanel)
        for (int j = 0; j < kPanel; j += kLanes) work(column / kPanel, column + j, j);
}

}  // namespace

void normalise(int rows, int width, Panels values, const Norm* norm, Panels result) {
    const Panels normalised = norm->normalised;
    for (int row = 0; row < rows; ++row) {
        const ptrdiff_t at = ptrdiff_t(row) * kPanel;
        Vec total = zero();
        for_vectors(width, [&](int panel, int, int j) {
            total += load(values.data + panel * values.stride + at + j);
        });
        const float mean = sum_lanes(total) / float(width);
        Vec squares = zero();
        for_vectors(width, [&](int panel, int, int j) {
            const Vec centred = load(values.data + panel * values.stride + at + j) - mean;
            squares += centred * centred;
        });
        const float variance = sum_lanes(squares) / float(width);
        const float inverse = 1.0f / __builtin_sqrtf(variance + kNormEpsilon);
        norm->deviation[row] = inverse;
        for_vectors(width, [&](int panel, int column, int j) {
            const Vec value = (load(values.data + panel * values.stride + at + j) - mean) * inverse;
            store(normalised.data + panel * normalised.stride + at + j, value);
            store(result.data + panel * result.stride + at + j,
                  value * load(norm->scale + column) + load(norm->bias + column));
        });
    }
}

void normalise_again(int rows, int width, const Norm* norm, Panels result) {
    for (int column = 0; column < width; column += kPanel) {
        const float* from = panel_of(norm->normalised, column);
        float* to = panel_of(result, column);
        for (int row = 0; row < rows; ++row)
            for (int j = 0; j < kPanel; j += kLanes, from += kLanes, to += kLanes)
                store(to, load(from) * load(norm->scale + column + j) + load(norm->bias + column + j));
    }
}

void normalise_backward(int rows, int width, Panels result_gradient, const Norm* norm,
                        Panels gradient, float* scale_gradient, float* bias_gradient) {
    const Panels normalised = norm->normalised;
    for (int row = 0; row < rows; ++row) {
        const ptrdiff_t at = ptrdiff_t(row) * kPanel;
        Vec total = zero(), along = zero();
        for_vectors(width, [&](int panel, int column, int j) {
            const Vec inner = load(result_gradient.data + panel * result_gradient.stride + at + j) *
                              load(norm->scale + column);
            total += inner;
            along += inner * load(normalised.data + panel * normalised.stride + at + j);
        });
        const float mean = sum_lanes(total) / float(width);
        const float mean_along = sum_lanes(along) / float(width);
        const float inverse = norm->deviation[row];
        for_vectors(width, [&](int panel, int column, int j) {
            const Vec inner = load(result_gradient.data + panel * result_gradient.stride + at + j) *
                              load(norm->scale + column);
            const Vec value = load(normalised.data + panel * normalised.stride + at + j);
            float* to = gradient.data + panel * gradient.stride + at + j;
            store(to, load(to) + (inner - mean - value * mean_along) * inverse);
        });
    }
    for (int column = 0; column < width; column += kPanel) {
        const float* slope = panel_of(result_gradient, column);
        const float* value = panel_of(normalised, column);
        Vec of_scale[kTileVectors] = {}, of_bias[kTileVectors] = {};
        for (int row = 0; row < rows; ++row)
            for (int j = 0; j < kTileVectors; ++j, slope += kLanes, value += kLanes) {
                const Vec delta = load(slope);
                of_bias[j] += delta;
                of_scale[j] += delta * load(value);
            }
        for (int j = 0; j < kTileVectors; ++j) {
            float* scale = scale_gradient + column + j * kLanes;
            float* bias = bias_gradient + column + j * kLanes;
            store(scale, load(scale) + of_scale[j]);
            store(bias, load(bias) + of_bias[j]);
        }
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
