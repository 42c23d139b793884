// What the programs for single kernels (native_*.cpp) have in common: processor time of this thread (so
// that other processes disturb little), the fastest of many repeats.
#pragma once

#include <cstdio>
#include <cstring>
#include <ctime>

#include "runtime/dispatch.h"

inline double processor_seconds() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

template <typename F>
double fastest(int repeats, F&& work) {
    double best = 1e9;
    for (int i = 0; i < repeats; ++i) {
        const double start = processor_seconds();
        work();
        const double taken = processor_seconds() - start;
        if (taken < best) best = taken;
    }
    return best;
}

struct Report {
    double peak;
    double total = 0;
    void line(const char* name, double seconds, double gflop, double direct_gflop = 0) {
        total += seconds;
        std::printf("%-34s %8.3f ms", name, seconds * 1e3);
        if (gflop > 0)
            std::printf("  %7.1f GFLOP/s  %5.1f %% of peak", gflop / seconds,
                        100 * gflop / seconds / peak);
        if (direct_gflop > 0) std::printf("  (direct %6.1f)", direct_gflop / seconds);
        std::printf("\n");
    }
};

// The instruction set of that name, the best one for nullptr; nullptr where there is none.
inline const epochmark::Kernels* chosen_kernels(const char* name) {
    using epochmark::Precision;
    for (Precision precision : {Precision::float32, Precision::bfloat16})
        for (const epochmark::Kernels* kernels : epochmark::available_kernels(precision))
            if (!name || std::strcmp(name, kernels->name) == 0) return kernels;
    std::fprintf(stderr, "no instruction set '%s' on this machine\n", name);
    return nullptr;
}

// Measures the multiply-add peak and begins the report.
inline Report start_report(const epochmark::Kernels& kernels, int batch) {
    double flop = 0;
    const double seconds = fastest(20, [&] { flop = kernels.multiply_add_peak(200000); });
    const Report report{flop / seconds * 1e-9};
    std::printf("%s, one thread, batch %d; multiply-add peak %.1f GFLOP/s\n", kernels.name, batch,
                report.peak);
    return report;
}
