// Where a training step of mnist-mlp goes: each kernel alone on one thread, against the machine's peak.
//
//   cmake -S src/epochmark/native -B build/native
//   cmake --build build/native --target native_mlp_kernels
//   build/native/native_mlp_kernels [avx512|avx2|portable|avx512_bf16]
//
// "in cache" repeats one block of columns, which the second-level cache holds: the arithmetic alone. The
// other lines walk all blocks, as a step does: what memory adds. GFLOP do not count Adam.

#include <vector>

#include "kernel_times.h"
#include "networks/mnist_mlp/network.h"
#include "runtime/aligned_array.h"

namespace {

using namespace epochmark;
using namespace epochmark::mnist_mlp;

constexpr int kBatch = 64;
constexpr int kRepeats = 15;
constexpr std::size_t kBlock1 = std::size_t(kPixels) * kColumns;
constexpr std::size_t kBlock2 = std::size_t(kUnits) * kColumns;

AlignedArray<float> random_floats(std::size_t count) {
    AlignedArray<float> made(count);
    std::uint32_t random = 1;
    for (std::size_t i = 0; i < count; ++i) {
        random = random * 1664525u + 1013904223u;
        made.get()[i] = (float(random >> 8) / (1 << 24) - 0.5f) * 0.1f;
    }
    return made;
}

struct Arrays {
    AlignedArray<float> parameters = random_floats(3 * (kParameters + 6));
    AlignedArray<float> input = random_floats(kBatch * kPixelStride);
    AlignedArray<float> hidden = random_floats(kBatch * kUnitStride);
    AlignedArray<float> output{std::size_t(kBatch) * kUnitStride};
    AlignedArray<float> input_gradient{std::size_t(kBatch) * kUnitStride};
    AlignedArray<float> slope = random_floats(kBatch * kColumns);
    AlignedArray<float> slope_factors{std::size_t(kBatch) * kColumns};
    AlignedArray<float> tiles{kTileFloats};
    const AdamStep adam{1e-6f, 0.1f, 0.001f, 1e-7f};

    BackwardBlock backward(const float* packed, std::size_t kernel) {
        float* value = parameters.get() + kernel;
        const std::size_t distance = kParameters + 6;
        return {packed, kBatch, slope.get(), slope_factors.get(), slope.get(),
                {value, value + distance, value + 2 * distance, nullptr},
                &adam, tiles.get(), input_gradient.get(), false};
    }
};

}  // namespace

int main(int argc, char** argv) {
    const Kernels* chosen = chosen_kernels(argc > 1 ? argv[1] : nullptr);
    if (!chosen) return 2;
    const Table& k = *chosen->mnist_mlp;
    Report report = start_report(*chosen, kBatch);
    Arrays arrays;
    if (k.round) {  // what the products are given, whatever its order
        k.round(arrays.input.get(), kBatch * kPixelStride, arrays.input.get());
        k.round(arrays.hidden.get(), kBatch * kUnitStride, arrays.hidden.get());
    }
    const double product_1 = 2e-9 * kBatch * kPixels * kUnits;
    const double product_2 = 2e-9 * kBatch * kUnits * kUnits;

    const auto time = [&](const char* name, double gflop, auto&& block) {
        char title[64];
        std::snprintf(title, sizeof title, "%s, in cache", name);
        const double total = report.total;
        report.line(title, fastest(kRepeats, [&] {
                        for (int i = 0; i < kBlocks; ++i) block(0);
                    }), gflop);
        report.total = total;
        report.line(name, fastest(kRepeats, [&] {
                        for (int i = 0; i < kBlocks; ++i) block(i);
                    }), gflop);
    };
    time("dense_1 forward", product_1, [&](int i) {
        k.dense_1_forward(arrays.input.get(), kBatch,
                          arrays.parameters.get() + kKernel1 + i * kBlock1, arrays.slope.get(),
                          arrays.output.get() + i * kColumns);
    });
    time("dense_2 forward", product_2, [&](int i) {
        k.dense_2_forward(arrays.hidden.get(), kBatch,
                          arrays.parameters.get() + kKernel2 + i * kBlock2, arrays.slope.get(),
                          arrays.output.get() + i * kColumns);
    });
    time("dense_2 backward and Adam", 2 * product_2, [&](int i) {
        const BackwardBlock block = arrays.backward(arrays.hidden.get(), kKernel2 + i * kBlock2);
        k.dense_2_backward(&block);
    });
    time("dense_1 backward and Adam", product_1, [&](int i) {
        const BackwardBlock block = arrays.backward(arrays.input.get(), kKernel1 + i * kBlock1);
        k.dense_1_backward(&block);
    });
    std::printf("%-34s %8.3f ms\n", "sum", report.total * 1e3);

    std::vector<std::uint8_t> images(kBatch * kPixels, 100), labels(kBatch, 3);
    std::vector<std::uint32_t> order(kBatch, 0);
    MnistMlp mlp({*chosen, 1, kBatch, {1e-3, 0.9, 0.999, 1e-7}});
    Network& network = mlp;
    network.set_parameters(arrays.parameters.get());
    const double step = fastest(kRepeats, [&] {
        network.train({images.data(), labels.data(), order.data(), kBatch});
    });
    std::printf("%-34s %8.3f ms\n", "whole step", step * 1e3);
    return 0;
}
