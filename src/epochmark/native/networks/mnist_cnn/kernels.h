// The kernels of mnist-cnn that every instruction set provides; see the file of each for what it does.
#pragma once

#include <cstdint>

#include "kernels/adam.h"
#include "networks/mnist_cnn/layout.h"

namespace epochmark {
namespace mnist_cnn {

// What one thread needs to take one image through the convolutions (about 1 MB), and its share of
// the gradients.
struct ThreadScratch {
    alignas(64) float pixels[kPixels];
    alignas(64) float activation_1[kPlane1 * kChannels1];
    alignas(64) float gradient_1[kPlane1 * kChannels1];
    alignas(64) float input[2][kPositions * kPositionInput];       // transformed activation_1
    alignas(64) float input_gradient[kPositions * kPositionInput];
    alignas(64) float output[kPositions * kPositionOutput];        // products, or their gradient
    alignas(64) float kernel_2_gradient[kPositions * kPositionKernel];  // transformed
    alignas(64) float bias_2_gradient[kChannels2];
    alignas(64) float kernel_1_gradient[kTaps * kChannels1];
    alignas(64) float bias_1_gradient[kChannels1];
    alignas(64) float dense_2_by_unit[kHidden * kClassesPadded];  // dense_2's kernel, padded
    alignas(64) float dense_2_by_class[kClasses * kHidden];
    alignas(64) float dense_2_gradient[kHidden * kClassesPadded];
    alignas(64) float dense_2_bias_gradient[kClassesPadded];
    alignas(64) float dense_1_bias_gradient[kHidden];
    alignas(64) float tile_gradient[12 * 32];  // of dense_1, at most
    alignas(64) float transposed_kernel[kHidden * 32];
    double loss_sum;
    std::int64_t correct;
};

// conv_2's kernel in the orders its two products want; see kernels/conv_2.cpp.
struct TransformedKernel {
    alignas(64) float forward[kPositions * kPositionKernel];   // [position][channel_1][channel_2]
    alignas(64) float backward[kPositions * kPositionKernel];  // [position][channel_2][channel_1]
};

struct Table {
    void (*scale_pixels)(const std::uint8_t* image, float* pixels);

    void (*conv_1_forward)(const float* pixels, const float* kernel, const float* bias,
                           float* activation);
    void (*conv_1_backward)(const float* pixels, const float* activation, const float* gradient,
                            float* kernel_gradient, float* bias_gradient);

    void (*conv_2_transform_kernel)(const float* kernel, int channel_begin, int channel_end,
                                    TransformedKernel* transformed);
    void (*conv_2_begin)(int slot, ThreadScratch* scratch);
    void (*conv_2_forward)(const TransformedKernel* kernel, const float* bias, int slot, bool next,
                           ThreadScratch* scratch, float* pooled, std::uint32_t* choice);
    void (*conv_2_backward)(const TransformedKernel* kernel, const float* pooled_gradient,
                            const std::uint32_t* choice, bool first, ThreadScratch* scratch);
    void (*conv_2_reduce_gradient)(const ThreadScratch* const* parts, int part_count,
                                   int channel_begin, int channel_end, float* gradient);

    void (*dense_1_forward)(const float* features, int rows, int feature_begin, int feature_end,
                            const float* kernel, float* partial);
    void (*dense_1_backward)(float* features, int rows, int feature_begin,
                             const float* hidden_gradient, const float* hidden_gradient_panels,
                             float* packed_features, const Parameters* parameters,
                             const AdamStep* adam, ThreadScratch* scratch);

    void (*dense_2_begin)(const float* kernel, ThreadScratch* scratch);
    void (*dense_2)(const float* hidden, const float* bias, int label, float scale,
                    float* hidden_gradient, float* hidden_gradient_panels,
                    std::int64_t panel_stride, ThreadScratch* scratch);
};

}  // namespace mnist_cnn
}  // namespace epochmark
