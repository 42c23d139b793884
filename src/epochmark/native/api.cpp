#include "api.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "runtime/compiled.h"
#include "runtime/dispatch.h"
#include "training/network.h"
#include "training/shuffle.h"

namespace {

constexpr int kKernelVersion = 1;

const epochmark::Kernels* find_kernels(const char* name) {
    for (const epochmark::Kernels* kernels : epochmark::available_kernels())
        if (!name || !*name || std::strcmp(name, kernels->name) == 0) return kernels;
    return nullptr;
}

void give(const epochmark::BatchResult& result, double* loss_sum, std::int64_t* correct) {
    *loss_sum = result.loss_sum;
    *correct = result.correct;
}

}  // namespace

struct em_network {
    epochmark::Network network;
};

int em_kernel_version(void) { return kKernelVersion; }

const char* em_build(void) {
    static const std::string build = [] {
        std::string text = EPOCHMARK_BUILD EPOCHMARK_COMPILED;
#if defined(EPOCHMARK_AVX512_IN_AVX2)
        text += ", AVX-512 in AVX2";
#endif
        for (const epochmark::Kernels* kernels : epochmark::available_kernels())
            if (text.find(kernels->compiled) == std::string::npos) text += kernels->compiled;
        return text;
    }();
    return build.c_str();
}

const char* em_compiler(void) { return EPOCHMARK_COMPILER; }

const char* em_instruction_sets(void) {
    static const std::string names = [] {
        std::string text;
        for (const epochmark::Kernels* kernels : epochmark::available_kernels())
            text += (text.empty() ? "" : ",") + std::string(kernels->name);
        return text;
    }();
    return names.c_str();
}

int64_t em_parameter_count(void) { return std::int64_t(epochmark::kParameters); }

em_network* em_create(const char* instruction_set, int threads, int batch, double learning_rate,
                      double beta_1, double beta_2, double epsilon, char* error,
                      size_t error_size) {
    const epochmark::Kernels* kernels = find_kernels(instruction_set);
    if (!kernels) {
        std::snprintf(error, error_size, "no instruction set '%s' here (there are: %s)",
                      instruction_set, em_instruction_sets());
        return nullptr;
    }
    try {
        return new em_network{
            {*kernels, threads, batch, {learning_rate, beta_1, beta_2, epsilon}}};
    } catch (const std::exception& problem) {
        std::snprintf(error, error_size, "%d threads, batch %d: %s", threads, batch,
                      problem.what());
        return nullptr;
    }
}

void em_destroy(em_network* network) { delete network; }

const char* em_instruction_set(const em_network* network) {
    return network->network.kernels().name;
}

void em_set_parameters(em_network* network, const float* parameters) {
    network->network.set_parameters(parameters);
}

void em_get_parameters(const em_network* network, float* parameters) {
    network->network.get_parameters(parameters);
}

int64_t em_get_moments(const em_network* network, float* first, float* second) {
    return network->network.get_moments(first, second);
}

void em_train_step(em_network* network, const uint8_t* images, const uint8_t* labels,
                   const uint32_t* order, int count, double* loss_sum, int64_t* correct) {
    give(network->network.train(images, labels, order, count), loss_sum, correct);
}

void em_gradients(em_network* network, const uint8_t* images, const uint8_t* labels,
                  const uint32_t* order, int count, double* loss_sum, int64_t* correct,
                  float* gradient) {
    give(network->network.gradients(images, labels, order, count, gradient), loss_sum, correct);
}

void em_evaluate(em_network* network, const uint8_t* images, const uint8_t* labels,
                 const uint32_t* order, int count, double* loss_sum, int64_t* correct) {
    give(network->network.evaluate(images, labels, order, count), loss_sum, correct);
}

void em_shuffle(uint64_t seed, uint64_t epoch, uint32_t* order, int64_t count) {
    epochmark::shuffle(seed, epoch, order, count);
}
