#include "runtime/dispatch.h"

namespace epochmark {

std::vector<const Kernels*> available_kernels() {
    std::vector<const Kernels*> found;
#if defined(EPOCHMARK_HAVE_X86)
    __builtin_cpu_init();
#if defined(EPOCHMARK_AVX512_IN_AVX2)
    const bool has_avx512 = __builtin_cpu_supports("avx2");
#else
    const bool has_avx512 =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    if (has_avx512 && __builtin_cpu_supports("fma")) found.push_back(&avx512::kernels());
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found.push_back(&avx2::kernels());
#endif
    found.push_back(&portable::kernels());
    return found;
}

}  // namespace epochmark
