// Where a training step's time goes: each kernel alone on one thread, against the machine's peak.
//
//   cmake -S src/epochmark/native -B build/native
//   cmake --build build/native --target native_kernels
//   build/native/native_kernels [avx512|avx2|portable]
//
// For mnist-cnn and a batch of 128 (native_mlp_kernels.cpp: mnist-mlp). GFLOP are those really done
// (minimal filtering counts its products, not the direct convolution's); "direct" counts the direct
// convolution's.

#include <vector>

#include "kernel_times.h"
#include "networks/mnist_cnn/network.h"
#include "runtime/aligned_array.h"

constexpr int kBatch = 128;

int main(int argc, char** argv) {
    const epochmark::Kernels* chosen = chosen_kernels(argc > 1 ? argv[1] : nullptr);
    if (!chosen) return 2;
    if (!chosen->mnist_cnn) {
        std::fprintf(stderr, "mnist-cnn is not trained in %s\n", chosen->name);
        return 2;
    }
    using namespace epochmark;
    using namespace epochmark::mnist_cnn;
    const Table& k = *chosen->mnist_cnn;
    Report report = start_report(*chosen, kBatch);

    std::vector<std::uint8_t> images(kBatch * kPixels), labels(kBatch);
    std::vector<std::uint32_t> order(kBatch);
    std::uint32_t random = 1;
    for (int i = 0; i < kBatch; ++i) {
        order[i] = std::uint32_t(i);
        labels[i] = std::uint8_t(i % 10);
        for (int j = 0; j < kPixels; ++j) {
            random = random * 1664525u + 1013904223u;
            images[i * kPixels + j] = (random >> 31) ? std::uint8_t(random >> 16) : 0;
        }
    }
    AlignedArray<float> data(4 * kParameters), features(kBatch * kFeatureStride),
        packed(kBatch * kFeatureBlock), hidden(kBatch * kHidden);
    AlignedArray<std::uint32_t> choices(kBatch * kChoices);
    AlignedArray<ThreadScratch> scratch_array(1);
    AlignedArray<TransformedKernel> kernel_2(1);
    ThreadScratch* scratch = scratch_array.get();
    float* value = data.get();
    for (std::size_t i = 0; i < kParameters; ++i) {
        random = random * 1664525u + 1013904223u;
        value[i] = (float(random >> 8) / (1 << 24) - 0.5f) * 0.1f;
    }
    const Parameters parameters{value, value + kParameters, value + 2 * kParameters, nullptr};
    const AdamStep adam{1e-6f, 0.1f, 0.001f, 1e-7f};
    const auto each = [](auto&& work) {
        return [work] {
            for (int i = 0; i < kBatch; ++i) work(i);
        };
    };

    const double conv_1 = 2e-9 * kBatch * kPlane1 * kChannels1 * kTaps;
    const double direct_2 = 2e-9 * kBatch * 576.0 * kChannels1 * kChannels2 * kTaps;
    const double conv_2 = direct_2 / 4;
    const double dense = 2e-9 * kBatch * kFeatures * kHidden;
    const int n = 15;

    report.line("conv_1 forward", fastest(n, each([&](int i) {
                    k.scale_pixels(images.data() + i * kPixels, scratch->pixels);
                    k.conv_1_forward(scratch->pixels, value + kConv1Kernel, value + kConv1Bias,
                                     scratch->activation_1);
                })), conv_1, 0);
    report.line("conv_2 kernel transform", fastest(n, [&] {
                    k.conv_2_transform_kernel(value + kConv2Kernel, 0, kChannels1, kernel_2.get());
                }), 0, 0);
    report.line("conv_2 forward, relu, pool", fastest(n, each([&](int i) {
                    k.conv_2_forward(kernel_2.get(), value + kConv2Bias, i & 1, true, scratch,
                                     features.get() + i * kFeatureStride,
                                     choices.get() + i * kChoices);
                })), conv_2, direct_2);
    report.line("dense_1 forward", fastest(n, [&] {
                    k.dense_1_forward(features.get(), kBatch, 0, kFeatures, value + kDense1Kernel,
                                      hidden.get());
                }), dense, 0);
    report.line("dense_1 backward and Adam", fastest(n, [&] {
                    for (int f = 0; f < kFeatures; f += kFeatureBlock)
                        k.dense_1_backward(features.get(), kBatch, f, hidden.get(), hidden.get(),
                                           packed.get(), &parameters, &adam, scratch);
                }), 2 * dense, 0);
    report.line("conv_1 forward again", fastest(n, each([&](int i) {
                    k.scale_pixels(images.data() + i * kPixels, scratch->pixels);
                    k.conv_1_forward(scratch->pixels, value + kConv1Kernel, value + kConv1Bias,
                                     scratch->activation_1);
                })), conv_1, 0);
    report.line("conv_2 both gradients", fastest(n, each([&](int i) {
                    k.conv_2_backward(kernel_2.get(), features.get() + i * kFeatureStride,
                                      choices.get() + i * kChoices, i == 0, scratch);
                })), 2 * conv_2, 2 * direct_2);
    report.line("conv_1 kernel gradient", fastest(n, each([&](int) {
                    k.conv_1_backward(scratch->pixels, scratch->activation_1, scratch->gradient_1,
                                      scratch->kernel_1_gradient, scratch->bias_1_gradient);
                })), conv_1, 0);
    report.line("conv_2 gradient sum", fastest(n, [&] {
                    const ThreadScratch* parts[] = {scratch};
                    k.conv_2_reduce_gradient(parts, 1, 0, kChannels1, value + 3 * kParameters);
                }), 0, 0);
    std::printf("%-34s %8.3f ms\n", "sum", report.total * 1e3);

    MnistCnn cnn({*chosen, 1, kBatch, {1e-3, 0.9, 0.999, 1e-7}});
    Network& network = cnn;
    network.set_parameters(value);
    const double step = fastest(n, [&] {
        network.train({images.data(), labels.data(), order.data(), kBatch});
    });
    std::printf("%-34s %8.3f ms\n", "whole step", step * 1e3);
    return 0;
}
