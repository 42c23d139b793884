// conv_1: one input channel, 32 filters, direct. Nine taps and the sum stay in registers for one
// vector of filters while the image is walked; pixels are broadcast. 0.1 GFLOP of a step's 9, so
// backward recomputes this layer rather than keeping 11 MB of activations.

#include "../kernels.h"
#include "simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

void scale_pixels(const uint8_t* image, float* pixels) {
    for (int i = 0; i < kPixels; ++i) pixels[i] = float(image[i]) / 255.0f;
}

void conv_1_forward(const float* pixels, const float* kernel, const float* bias,
                    float* activation) {
    for (int channel = 0; channel < kChannels1; channel += kLanes) {
        Vec weight[kTaps];
        for (int tap = 0; tap < kTaps; ++tap) weight[tap] = load(kernel + tap * kChannels1 + channel);
        const Vec offset = load(bias + channel);
        float* out = activation + channel;
        for (int y = 0; y < kSide1; ++y) {
            const float* row = pixels + y * kImageSide;
            for (int x = 0; x < kSide1; ++x, out += kChannels1) {
                Vec sum = offset;
                for (int tap = 0; tap < kTaps; ++tap)
                    sum += weight[tap] * row[(tap / 3) * kImageSide + tap % 3 + x];
                store(out, relu(sum));
            }
        }
    }
}

// Adds this image's gradients. relu'(0) = 0.
void conv_1_backward(const float* pixels, const float* activation, const float* gradient,
                     float* kernel_gradient, float* bias_gradient) {
    for (int channel = 0; channel < kChannels1; channel += kLanes) {
        Vec sum[kTaps];
        for (int tap = 0; tap < kTaps; ++tap)
            sum[tap] = load(kernel_gradient + tap * kChannels1 + channel);
        Vec bias_sum = load(bias_gradient + channel);
        const float* value = activation + channel;
        const float* slope = gradient + channel;
        for (int y = 0; y < kSide1; ++y) {
            const float* row = pixels + y * kImageSide;
            for (int x = 0; x < kSide1; ++x, value += kChannels1, slope += kChannels1) {
                const Vec delta = select(load(value) > 0.0f, load(slope));
                bias_sum += delta;
                for (int tap = 0; tap < kTaps; ++tap)
                    sum[tap] += delta * row[(tap / 3) * kImageSide + tap % 3 + x];
            }
        }
        for (int tap = 0; tap < kTaps; ++tap)
            store(kernel_gradient + tap * kChannels1 + channel, sum[tap]);
        store(bias_gradient + channel, bias_sum);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
