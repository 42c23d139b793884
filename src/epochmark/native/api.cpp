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

using epochmark::Precision;

// What all calls but em_create are given comes from binding.py.
Precision precision_of(const char* name) {
    return std::strcmp(name, "bfloat16") == 0 ? Precision::bfloat16 : Precision::float32;
}

const epochmark::Kernels* find_kernels(Precision precision, const char* name) {
    for (const epochmark::Kernels* kernels : epochmark::available_kernels(precision))
        if (!name || !*name || std::strcmp(name, kernels->name) == 0) return kernels;
    return nullptr;
}

bool trains(const epochmark::Offer& offer, Precision precision) {
    return precision == Precision::float32 || offer.bfloat16;
}

const epochmark::Offer* find_offer(const char* workload) {
    for (const epochmark::Offer& offer : epochmark::offers())
        if (std::strcmp(workload, offer.workload) == 0) return &offer;
    return nullptr;
}

// Names of some things, made once for each precision.
struct Names {
    std::string of[2];
    template <typename Things, typename Name>
    void add(Precision precision, const Things& things, Name name) {
        std::string& text = of[int(precision)];
        for (const auto& thing : things)
            if (const char* word = name(thing)) text += (text.empty() ? "" : ",") + std::string(word);
    }
    const char* get(const char* precision) const { return of[int(precision_of(precision))].c_str(); }
};

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
        for (Precision precision : {Precision::float32, Precision::bfloat16})
            for (const epochmark::Kernels* kernels : epochmark::available_kernels(precision))
                if (text.find(kernels->compiled) == std::string::npos) text += kernels->compiled;
        return text;
    }();
    return build.c_str();
}

const char* em_compiler(void) { return EPOCHMARK_COMPILER; }

const char* em_instruction_sets(const char* precision) {
    static const Names names = [] {
        Names found;
        for (Precision each : {Precision::float32, Precision::bfloat16})
            found.add(each, epochmark::available_kernels(each),
                      [](const epochmark::Kernels* kernels) { return kernels->name; });
        return found;
    }();
    return names.get(precision);
}

const char* em_missing(const char* precision) {
    return epochmark::missing_for(precision_of(precision));
}

const char* em_workloads(const char* precision) {
    static const Names names = [] {
        Names found;
        for (Precision each : {Precision::float32, Precision::bfloat16})
            found.add(each, epochmark::offers(), [each](const epochmark::Offer& offer) {
                return trains(offer, each) ? offer.workload : nullptr;
            });
        return found;
    }();
    return names.get(precision);
}

int em_describe(const char* workload, em_description* description) {
    const epochmark::Offer* offer = find_offer(workload);
    if (!offer) return 0;
    *description = {offer->parameters, offer->inputs,        offer->input_bytes,  offer->targets,
                    offer->target_bytes, offer->classes, offer->largest_batch, offer->kernel_version};
    return 1;
}

em_network* em_create(const char* workload, const char* precision, const char* instruction_set,
                      int threads, int batch, int context, double learning_rate, double beta_1, double beta_2,
                      double epsilon, char* error, size_t error_size) {
    const epochmark::Offer* offer = find_offer(workload);
    const Precision wanted = precision_of(precision);
    if (!offer || !trains(*offer, wanted)) {
        std::snprintf(error, error_size, "no workload '%s' in %s here (there are: %s)", workload,
                      precision, em_workloads(precision));
        return nullptr;
    }
    const epochmark::Kernels* kernels = find_kernels(wanted, instruction_set);
    if (!kernels) {
        const char* missing = em_missing(precision);
        if (*missing)
            std::snprintf(error, error_size, "no %s here: %s", precision, missing);
        else
            std::snprintf(error, error_size, "no instruction set '%s' for %s here (there are: %s)",
                          instruction_set, precision, em_instruction_sets(precision));
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
