// dense_3 (2048 -> 10) with softmax and cross-entropy: a hundredth of a step's arithmetic. Its kernel
// is stored transposed, [10][2048]: forward ten sums of vectors run down a row of activations; backward
// a block of dense_2's columns needs that part of each class.

#include "networks/mnist_mlp/kernels.h"
#include "kernels/gemm.h"
#include "kernels/lanes.h"
#include "kernels/simd.h"

namespace epochmark {
namespace mnist_mlp {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

namespace {

void scores(const float* hidden, const float* kernel, const float* bias, float* logits) {
    Vec sum[kClasses] = {};
    for (int i = 0; i < kUnits; i += kLanes) {
        const Vec value = load(hidden + i);
        for (int c = 0; c < kClasses; ++c) sum[c] += value * load(kernel + c * kUnits + i);
    }
    for (int c = 0; c < kClasses; ++c) logits[c] = sum_lanes(sum[c]) + bias[c];
}

}  // namespace

// hidden [2048], after relu, of one image: its loss, whether its class was found, and the gradient of
// its scores times `scale`, padded with zeros.
void classify(const float* hidden, const float* kernel, const float* bias, int label, float scale,
              float* delta, double* loss, int64_t* correct) {
    float logits[kClasses], exponential[kClasses], total = 0.0f;
    scores(hidden, kernel, bias, logits);
    int best = 0;
    for (int c = 1; c < kClasses; ++c)
        if (logits[c] > logits[best]) best = c;
    for (int c = 0; c < kClasses; ++c)
        total += exponential[c] = __builtin_expf(logits[c] - logits[best]);
    *loss = double(__builtin_logf(total) - (logits[label] - logits[best]));
    *correct = best == label;
    for (int c = 0; c < kClassesPadded; ++c) delta[c] = 0.0f;
    for (int c = 0; c < kClasses; ++c)
        delta[c] = (exponential[c] / total - (c == label ? 1.0f : 0.0f)) * scale;
}

// For kColumns columns of dense_2's output `hidden` [rows][kUnitStride]: the gradient of dense_3's
// kernel there, [10][kColumns], and that of the output before its relu, slope [rows][kColumns].
void dense_3_backward(const float* delta, const float* hidden, int rows, const float* kernel,
                      float* kernel_gradient, float* slope) {
    constexpr int kHalf = kClasses / 2;
    for (int c = 0; c < kClasses; c += kHalf)
        for (int j = 0; j < kColumns; j += 2 * kLanes)
            gemm_tile<kHalf, 2, 1, kClassesPadded, kUnitStride, kColumns>(
                rows, delta + c, hidden + j, kernel_gradient + c * kColumns + j, false);
    for (int row = 0; row < rows; ++row)
        for (int j = 0; j < kColumns; j += kLanes) {
            Vec sum = zero();
            for (int c = 0; c < kClasses; ++c)
                sum += delta[row * kClassesPadded + c] * load(kernel + c * kUnits + j);
            const Vec value = load(hidden + ptrdiff_t(row) * kUnitStride + j);
            store(slope + row * kColumns + j, select(value > 0.0f, sum));
        }
}

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_mlp
}  // namespace epochmark
