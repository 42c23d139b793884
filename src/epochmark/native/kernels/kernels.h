// The table of kernels that every instruction set provides; see kernels/ for what each one does.
#pragma once

#include <cstdint>

#include "training/layout.h"

namespace epochmark {

// Adam with epsilon added before the bias correction (Kingma and Ba, end of section 2):
//   m += (g - m) * one_minus_beta_1;  v += (g * g - v) * one_minus_beta_2
//   w -= rate * m / (sqrt(v) + epsilon),  rate = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)
struct AdamStep {
    float rate;
    float one_minus_beta_1;
    float one_minus_beta_2;
    float epsilon;
};

// Parameters and their moments. When `gradient` is not null the gradient is stored there and
// nothing is updated (how tests see gradients). All arrays have the layout of layout.h, except
// that dense_1's kernel is held in panels (see kernels/dense_1.cpp).
struct Parameters {
    float* value;
    float* first_moment;
    float* second_moment;
    float* gradient;
};

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

// The square matrices of product.cpp: rows, and those that one thread takes at a time.
constexpr int kProductSize = 1536;
constexpr int kProductRows = 48;

struct Kernels {
    const char* name;
    const char* compiled;  // otherwise than released; see compiled.h
    int panel;  // columns of dense_1's kernel that lie together

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

    void (*adam)(float* value, float* first_moment, float* second_moment, const float* gradient,
                 std::int64_t count, const AdamStep* step);

    double (*multiply_add_peak)(std::int64_t rounds);  // floating-point operations done

    // b [kProductSize][kProductSize] -> the given ones of its kProductSize / panel panels
    void (*product_pack)(const float* b, int panel_begin, int panel_end, float* panels);
    // kProductRows rows of c from those of a; tiles holds as many floats as those rows.
    void (*product_rows)(const float* a, const float* panels, float* tiles, float* c);
};

namespace portable { const Kernels& kernels(); }
namespace avx2 { const Kernels& kernels(); }
namespace avx512 { const Kernels& kernels(); }

}  // namespace epochmark
