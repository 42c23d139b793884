#include "api.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "networks/network.h"
#include "runtime/compiled.h"
#include "runtime/dispatch.h"
#include "runtime/shuffle.h"

namespace {

const epochmark::Kernels* find_kernels(const char* name) {
    for (const epochmark::Kernels* kernels : epochmark::available_kernels())
        if (!name || !*name || std::strcmp(name, kernels->name) == 0) return kernels;
    return nullptr;
}

const epochmark::Offer* find_offer(const char* workload) {
    for (const epochmark::Offer& offer : epochmark::offers())
        if (std::strcmp(workload, offer.workload) == 0) return &offer;
    return nullptr;
}

void give(const epochmark::BatchResult& result, double* loss_sum, std::int64_t* correct) {
    *loss_sum = result.loss_sum;
    *correct = result.correct;
}

}  // namespace

struct em_network {
    std::unique_ptr<epochmark::Network> network;
};

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

const char* em_workloads(void) {
    static const std::string names = [] {
        std::string text;
        for (const epochmark::Offer& offer : epochmark::offers())
            text += (text.empty() ? "" : ",") + std::string(offer.workload);
        return text;
    }();
    return names.c_str();
}

int em_describe(const char* workload, em_description* description) {
    const epochmark::Offer* offer = find_offer(workload);
    if (!offer) return 0;
    *description = {offer->parameters, offer->inputs,        offer->input_bytes,  offer->targets,
                    offer->target_bytes, offer->classes, offer->largest_batch, offer->kernel_version};
    return 1;
}

em_network* em_create(const char* workload, const char* instruction_set, int threads, int batch,
                      int context, double learning_rate, double beta_1, double beta_2,
                      double epsilon, char* error, size_t error_size) {
    const epochmark::Offer* offer = find_offer(workload);
    if (!offer) {
        std::snprintf(error, error_size, "no workload '%s' here (there are: %s)", workload,
                      em_workloads());
        return nullptr;
    }
    const epochmark::Kernels* kernels = find_kernels(instruction_set);
    if (!kernels) {
        std::snprintf(error, error_size, "no instruction set '%s' here (there are: %s)",
                      instruction_set, em_instruction_sets());
        return nullptr;
    }
    try {
        return new em_network{
            offer->make({*kernels, threads, batch, {learning_rate, beta_1, beta_2, epsilon}, context})};
    } catch (const std::exception& problem) {
        std::snprintf(error, error_size, "%d threads, batch %d: %s", threads, batch,
                      problem.what());
        return nullptr;
    }
}

void em_destroy(em_network* network) { delete network; }

const char* em_instruction_set(const em_network* network) {
    return network->network->kernels().name;
}

void em_set_parameters(em_network* network, const float* parameters) {
    network->network->set_parameters(parameters);
}

void em_get_parameters(const em_network* network, float* parameters) {
    network->network->get_parameters(parameters);
}

int64_t em_get_moments(const em_network* network, float* first, float* second) {
    return network->network->get_moments(first, second);
}

void em_train_step(em_network* network, const void* inputs, const void* targets,
                   const uint32_t* order, int count, double* loss_sum, int64_t* correct) {
    give(network->network->train({inputs, targets, order, count}), loss_sum, correct);
}

void em_gradients(em_network* network, const void* inputs, const void* targets,
                  const uint32_t* order, int count, double* loss_sum, int64_t* correct,
                  float* gradient, float* stored) {
    give(network->network->gradients({inputs, targets, order, count}, gradient, stored), loss_sum,
         correct);
}

void em_evaluate(em_network* network, const void* inputs, const void* targets,
                 const uint32_t* order, int count, double* loss_sum, int64_t* correct) {
    give(network->network->evaluate({inputs, targets, order, count}), loss_sum, correct);
}

void em_shuffle(uint64_t seed, uint64_t epoch, uint32_t* order, int64_t count) {
    epochmark::shuffle(seed, epoch, order, count);
}
