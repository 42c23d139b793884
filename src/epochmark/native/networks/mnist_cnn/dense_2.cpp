// dense_2 (128 -> 10) with softmax and cross-entropy, forward and backward, one image at a time.
// Less than a thousandth of a step's arithmetic; over vectors, 0.1 of its 25 ms on one AVX-512 core.
// The ten classes are padded to whole vectors; the kernel is held twice, by units for the logits and
// its own gradient, by classes for the gradient of the units.

#include "networks/mnist_cnn/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace mnist_cnn {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

namespace {

constexpr int kVectors = kClassesPadded / kLanes;

}  // namespace

// kernel [128][10] -> both orders; clears what dense_2 adds to.
void dense_2_begin(const float* kernel, ThreadScratch* scratch) {
    for (int unit = 0; unit < kHidden; ++unit) {
        for (int c = 0; c < kClasses; ++c) {
            scratch->dense_2_by_unit[unit * kClassesPadded + c] = kernel[unit * kClasses + c];
            scratch->dense_2_by_class[c * kHidden + unit] = kernel[unit * kClasses + c];
        }
        for (int c = kClasses; c < kClassesPadded; ++c)
            scratch->dense_2_by_unit[unit * kClassesPadded + c] = 0.0f;
    }
    for (int i = 0; i < kHidden * kClassesPadded; i += kLanes)
        store(scratch->dense_2_gradient + i, zero());
    for (int i = 0; i < kHidden; i += kLanes) store(scratch->dense_1_bias_gradient + i, zero());
    for (int i = 0; i < kClassesPadded; i += kLanes)
        store(scratch->dense_2_bias_gradient + i, zero());
    scratch->loss_sum = 0.0;
    scratch->correct = 0;
}

// hidden [128], after relu, of one image. Adds its loss and its gradients (times `scale`); the
// gradient of dense_1's output goes to hidden_gradient [128] and, `panel_stride` floats apart, to
// the panels of kPanel units that dense_1 wants. relu'(0) = 0.
void dense_2(const float* hidden, const float* bias, int label, float scale, float* hidden_gradient,
             float* hidden_gradient_panels, int64_t panel_stride, ThreadScratch* scratch) {
    Vec sum[kVectors] = {};
    for (int unit = 0; unit < kHidden; ++unit)
        for (int j = 0; j < kVectors; ++j)
            sum[j] += hidden[unit] * load(scratch->dense_2_by_unit + unit * kClassesPadded + j * kLanes);
    float logits[kClassesPadded];
    for (int j = 0; j < kVectors; ++j) store(logits + j * kLanes, sum[j]);

    int best = 0;
    for (int c = 0; c < kClasses; ++c) {
        logits[c] += bias[c];
        if (logits[c] > logits[best]) best = c;
    }
    float exponential[kClasses], total = 0.0f;
    for (int c = 0; c < kClasses; ++c)
        total += exponential[c] = __builtin_expf(logits[c] - logits[best]);
    scratch->loss_sum += double(__builtin_logf(total) - (logits[label] - logits[best]));
    scratch->correct += best == label;

    float delta[kClassesPadded] = {};
    for (int c = 0; c < kClasses; ++c)
        delta[c] = (exponential[c] / total - (c == label ? 1.0f : 0.0f)) * scale;
    Vec deltas[kVectors];
    for (int j = 0; j < kVectors; ++j) {
        deltas[j] = load(delta + j * kLanes);
        float* total_delta = scratch->dense_2_bias_gradient + j * kLanes;
        store(total_delta, load(total_delta) + deltas[j]);
    }
    for (int unit = 0; unit < kHidden; ++unit)
        for (int j = 0; j < kVectors; ++j) {
            float* gradient = scratch->dense_2_gradient + unit * kClassesPadded + j * kLanes;
            store(gradient, load(gradient) + hidden[unit] * deltas[j]);
        }
    for (int unit = 0; unit < kHidden; unit += kLanes) {
        Vec slope = zero();
        for (int c = 0; c < kClasses; ++c)
            slope += delta[c] * load(scratch->dense_2_by_class + c * kHidden + unit);
        slope = select(load(hidden + unit) > 0.0f, slope);
        store(hidden_gradient + unit, slope);
        store(hidden_gradient_panels + unit / kPanel * panel_stride + unit % kPanel, slope);
        float* bias_gradient = scratch->dense_1_bias_gradient + unit;
        store(bias_gradient, load(bias_gradient) + slope);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_cnn
}  // namespace epochmark
