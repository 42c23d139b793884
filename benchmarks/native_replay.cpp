// The replay of native_cross_check.py in a program of its own, for processors that are emulated.
//
//   native_replay INSTRUCTION_SET THREADS < input > output        (no arguments: list the sets)
//
// input:  parameters (float32), then ten batches of 128 images (28 x 28 bytes each) and 128 labels
// output: ten mean losses (float64) of a replay, then the gradients (float32) of the first image

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "api.h"

namespace {

constexpr int kSteps = 10, kBatch = 128, kJudged = 1;

template <typename T>
void read(std::vector<T>& to) {
    if (std::fread(to.data(), sizeof(T), to.size(), stdin) != to.size()) {
        std::fprintf(stderr, "the input is too short\n");
        std::exit(1);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::printf("%s\n", em_instruction_sets("float32"));
        return 0;
    }
    char error[512] = "";
    em_network* network =
        em_create("mnist-cnn", "float32", argv[1], std::atoi(argv[2]), kBatch, 0, 1e-3, 0.9, 0.999,
                  1e-7, error, sizeof error);
    if (!network) {
        std::fprintf(stderr, "%s\n", error);
        return 1;
    }
    em_description described;
    em_describe("mnist-cnn", &described);
    std::vector<float> parameters(static_cast<std::size_t>(described.parameters));
    std::vector<float> gradients(parameters.size()), stored(parameters.size());
    std::vector<std::uint8_t> images(kBatch * 784), labels(kBatch);
    std::vector<std::uint32_t> order(kBatch);
    for (int i = 0; i < kBatch; ++i) order[std::size_t(i)] = std::uint32_t(i);
    read(parameters);
    em_set_parameters(network, parameters.data());
    double losses[kSteps];
    for (int step = 0; step < kSteps; ++step) {
        read(images);
        read(labels);
        double loss_sum = 0;
        std::int64_t correct = 0;
        if (step == 0)
            em_gradients(network, images.data(), labels.data(), order.data(), kJudged, &loss_sum,
                         &correct, gradients.data(), stored.data());
        em_train_step(network, images.data(), labels.data(), order.data(), kBatch, &loss_sum,
                      &correct);
        losses[step] = loss_sum / kBatch;
    }
    std::fwrite(losses, sizeof(double), kSteps, stdout);
    std::fwrite(gradients.data(), sizeof(float), gradients.size(), stdout);
    em_destroy(network);
    return 0;
}
