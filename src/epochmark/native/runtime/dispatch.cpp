#include "runtime/dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace epochmark {

namespace {

#if defined(EPOCHMARK_HAVE_X86)

bool has_avx512() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

bool has_avx2() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#endif

std::vector<const Kernels*> float32_kernels() {
    std::vector<const Kernels*> found;
#if defined(EPOCHMARK_HAVE_X86)
#if defined(EPOCHMARK_AVX512_IN_AVX2)
    const bool runs_avx512 = has_avx2();
#else
    const bool runs_avx512 = has_avx512();
#endif
    if (runs_avx512) found.push_back(&avx512::kernels());
    if (has_avx2()) found.push_back(&avx2::kernels());
#endif
    found.push_back(&portable::kernels());
    return found;
}

std::vector<const Kernels*> bfloat16_kernels() {
    std::vector<const Kernels*> found;
#if defined(EPOCHMARK_HAVE_BFLOAT16_KERNELS)
    if (has_avx512() && has_avx512_bf16()) found.push_back(&avx512_bf16::kernels());
#endif
    return found;
}

}  // namespace

bool has_avx512_bf16() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 5 & 1);
#else
    return false;
#endif
}

std::vector<const Kernels*> available_kernels(Precision precision) {
    return precision == Precision::float32 ? float32_kernels() : bfloat16_kernels();
}

const char* missing_for(Precision precision) {
    if (!available_kernels(precision).empty()) return "";
#if defined(EPOCHMARK_HAVE_BFLOAT16_KERNELS)
    return "this processor lacks AVX512_BF16";
#elif defined(EPOCHMARK_HAVE_X86)
    return "the compiler of this library does not know AVX512_BF16";
#else
    return "its kernels are written for AVX512_BF16, an extension of x86";
#endif
}

}  // namespace epochmark
