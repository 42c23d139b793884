// conv_1: one input channel, 32 filters, direct. Nine taps and the sum stay in registers for one
// vector of filters while the image is walked; pixels are broadcast. 0.1 GFLOP of a step's 9, so
// backward recomputes this layer rather than keeping 11 MB of activations.

#include "networks/mnist_cnn/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace mnist_cnn {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

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
            for (int x = 0; x < kSide1; x += 2, out += 2 * kChannels1) {
                Vec sum = offset, next = offset;  // two positions share six of their nine pixels
                for (int tap = 0; tap < kTaps; ++tap) {
                    const float* pixel = row + (tap / 3) * kImageSide + tap % 3 + x;
                    sum += weight[tap] * pixel[0];
                    next += weight[tap] * pixel[1];
                }
                store(out, relu(sum));
                store(out + kChannels1, relu(next));
            }
        }
    }
}

// Adds this image's gradients. relu'(0) = 0.
//
// Every image row is summed by itself, then the rows, then the images: the sums cancel to a small
// part of their terms, and one running sum over 43 000 positions moved a bias by 7e-6 in the first
// step of a replay.
void conv_1_backward(const float* pixels, const float* activation, const float* gradient,
                     float* kernel_gradient, float* bias_gradient) {
    for (int channel = 0; channel < kChannels1; channel += kLanes) {
        Vec image_sum[kTaps + 1] = {};
        const float* value = activation + channel;
        const float* slope = gradient + channel;
        for (int y = 0; y < kSide1; ++y) {
            const float* row = pixels + y * kImageSide;
            Vec sum[kTaps] = {};
            Vec bias_sum = zero();
            for (int x = 0; x < kSide1; ++x, value += kChannels1, slope += kChannels1) {
                const Vec delta = select(load(value) > 0.0f, load(slope));
                bias_sum += delta;
                for (int tap = 0; tap < kTaps; ++tap)
                    sum[tap] += delta * row[(tap / 3) * kImageSide + tap % 3 + x];
            }
            for (int tap = 0; tap < kTaps; ++tap) image_sum[tap] += sum[tap];
            image_sum[kTaps] += bias_sum;
        }
        for (int tap = 0; tap < kTaps; ++tap) {
            float* total = kernel_gradient + tap * kChannels1 + channel;
            store(total, load(total) + image_sum[tap]);
        }
        store(bias_gradient + channel, load(bias_gradient + channel) + image_sum[kTaps]);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_cnn
}  // namespace epochmark
