#include "measuring/meter.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "runtime/aligned_array.h"
#include "measuring/bfloat16.h"
#include "runtime/dispatch.h"
#include "kernels/kernels.h"
#include "networks/mnist_cnn/kernels.h"
#include "runtime/thread_pool.h"

namespace epochmark {

namespace {

// Part `index` of `count` things shared by `parts`.
std::int64_t share(std::int64_t count, int index, int parts) { return count * index / parts; }

// Runs task(thread) on every thread of the pool and waits for all.
template <typename Task>
void on_all(ThreadPool& pool, Task task) {
    pool.run([](void* context, int thread) { (*static_cast<Task*>(context))(thread); }, &task);
}

// Floats not touched yet: the thread that touches them first has them near (first touch).
using Untouched = std::unique_ptr<float[]>;

Untouched untouched(std::int64_t count) { return Untouched(new float[std::size_t(count)]); }

}  // namespace

class Meter {
  public:
    Meter(const Kernels& kernels, int threads)
        : kernels_(kernels), pool_(threads) {}

    // `peak` on every thread; floating-point operations of all.
    template <typename Peak>
    double sum_over_threads(Peak peak, std::int64_t rounds) {
        std::atomic<std::int64_t> done{0};
        on_all(pool_, [&](int) { done += std::int64_t(peak(rounds)); });
        return double(done.load());
    }

    double multiply_adds(std::int64_t rounds) {
        return sum_over_threads(kernels_.multiply_add_peak, rounds);
    }

    void product(const float* a, const float* b, float* c) {
        constexpr std::size_t kRows = std::size_t(kProductRows) * kProductSize;
        if (!panels_.get()) panels_ = AlignedArray<float>(std::size_t(kProductSize) * kProductSize);
        if (!tiles_.get()) tiles_ = AlignedArray<float>(kRows * pool_.size());
        const int panels = kProductSize / kernels_.panel;
        std::atomic<int> next{0};
        on_all(pool_, [&](int thread) {
            kernels_.product_pack(b, int(share(panels, thread, pool_.size())),
                                  int(share(panels, thread + 1, pool_.size())), panels_.get());
            pool_.barrier();
            // Whoever is free takes the next rows: cores may differ.
            for (int part; (part = next++) < kProductSize / kProductRows;)
                kernels_.product_rows(a + part * kRows, panels_.get(),
                                      tiles_.get() + thread * kRows, c + part * kRows);
        });
    }

    void triad_allocate(std::int64_t count) {
        for (Untouched* array : {&a_, &b_, &c_}) array->reset();
        for (Untouched* array : {&a_, &b_, &c_}) *array = untouched(count);
        count_ = count;
        on_all(pool_, [&](int thread) {
            const std::int64_t begin = share(count_, thread, pool_.size());
            const std::int64_t end = share(count_, thread + 1, pool_.size());
            std::fill(a_.get() + begin, a_.get() + end, 0.0f);
            std::fill(b_.get() + begin, b_.get() + end, 2.0f);
            std::fill(c_.get() + begin, c_.get() + end, 0.5f);
        });
    }

    void triad(float factor) {
        on_all(pool_, [&](int thread) {
            const std::int64_t end = share(count_, thread + 1, pool_.size());
            float* __restrict a = a_.get();
            const float* __restrict b = b_.get();
            const float* __restrict c = c_.get();
            for (std::int64_t i = share(count_, thread, pool_.size()); i < end; ++i)
                a[i] = b[i] + factor * c[i];
        });
    }

    float triad_error(float factor) const {
        float largest = 0.0f;
        for (std::int64_t i = 0; i < count_; ++i)
            largest = std::max(largest, std::fabs(a_[i] - (2.0f + factor * 0.5f)));
        return largest;
    }

    void convolution(const float* input, const float* kernel, const float* bias, int count,
                     float* pooled) {
        using namespace mnist_cnn;
        const Table& table = *kernels_.mnist_cnn;
        if (!scratch_.get()) {
            transformed_ = AlignedArray<TransformedKernel>(1);
            scratch_ = AlignedArray<ThreadScratch>(pool_.size());
            choices_ = AlignedArray<std::uint32_t>(std::size_t(kChoices) * pool_.size());
        }
        constexpr std::size_t kInput = std::size_t(kPlane1) * kChannels1;
        table.conv_2_transform_kernel(kernel, 0, kChannels1, transformed_.get());
        on_all(pool_, [&](int thread) {
            ThreadScratch& scratch = scratch_.get()[thread];
            const std::int64_t begin = share(count, thread, pool_.size());
            const std::int64_t end = share(count, thread + 1, pool_.size());
            const auto take = [&](std::int64_t image) {
                std::memcpy(scratch.activation_1, input + image * kInput, kInput * sizeof(float));
            };
            if (begin == end) return;
            take(begin);
            table.conv_2_begin(begin & 1, &scratch);
            for (std::int64_t image = begin; image < end; ++image) {
                const bool next = image + 1 < end;
                if (next) take(image + 1);
                table.conv_2_forward(transformed_.get(), bias, image & 1, next, &scratch,
                                        pooled + image * kFeatures,
                                        choices_.get() + std::size_t(kChoices) * thread);
            }
        });
    }

    void dispatch() {
        on_all(pool_, [](int) {});
    }

  private:
    const Kernels& kernels_;
    AlignedArray<float> panels_, tiles_;
    AlignedArray<mnist_cnn::TransformedKernel> transformed_;
    AlignedArray<mnist_cnn::ThreadScratch> scratch_;
    AlignedArray<std::uint32_t> choices_;
    Untouched a_, b_, c_;
    std::int64_t count_ = 0;
    ThreadPool pool_;
};

}  // namespace epochmark

struct em_meter {
    epochmark::Meter meter;
};

namespace {

// 1, or 0 when there was not enough memory.
template <typename Work>
int with_memory(Work work) {
    try {
        work();
        return 1;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

}  // namespace

const char* em_bfloat16_instruction_sets(void) {
    static const std::string names = [] {
        std::string text;
        for (const epochmark::Bfloat16Peak& peak : epochmark::available_bfloat16())
            text += (text.empty() ? "" : ",") + std::string(peak.name);
        return text;
    }();
    return names.c_str();
}

em_meter* em_meter_create(const char* instruction_set, int threads, char* error,
                          size_t error_size) {
    for (const epochmark::Kernels* kernels : epochmark::available_kernels()) {
        if (*instruction_set && std::strcmp(instruction_set, kernels->name) != 0) continue;
        try {
            return new em_meter{{*kernels, threads}};
        } catch (const std::exception& problem) {
            std::snprintf(error, error_size, "%d threads: %s", threads, problem.what());
            return nullptr;
        }
    }
    std::snprintf(error, error_size, "no instruction set '%s' here (there are: %s)",
                  instruction_set, em_instruction_sets("float32"));
    return nullptr;
}

void em_meter_destroy(em_meter* meter) { delete meter; }

double em_meter_multiply_adds(em_meter* meter, int64_t rounds) {
    return meter->meter.multiply_adds(rounds);
}

double em_meter_bfloat16(em_meter* meter, int which, int64_t rounds) {
    return meter->meter.sum_over_threads(epochmark::available_bfloat16()[which].run, rounds);
}

int em_product_size(void) { return epochmark::kProductSize; }

int em_meter_product(em_meter* meter, const float* a, const float* b, float* c) {
    return with_memory([&] { meter->meter.product(a, b, c); });
}

int em_meter_triad_allocate(em_meter* meter, int64_t count) {
    return with_memory([&] { meter->meter.triad_allocate(count); });
}

void em_meter_triad(em_meter* meter, float factor) { meter->meter.triad(factor); }

float em_meter_triad_error(em_meter* meter, float factor) {
    return meter->meter.triad_error(factor);
}

int em_meter_convolution(em_meter* meter, const float* input, const float* kernel,
                         const float* bias, int count, float* pooled) {
    return with_memory([&] { meter->meter.convolution(input, kernel, bias, count, pooled); });
}

void em_meter_dispatch(em_meter* meter) { meter->meter.dispatch(); }
