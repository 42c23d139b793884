#include "measuring/bfloat16.h"

#include "runtime/dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace epochmark {

double avx512_bf16_peak(std::int64_t rounds);
double amx_bf16_peak(std::int64_t rounds);
double bfmmla_peak(std::int64_t rounds);

namespace {

#if defined(EPOCHMARK_HAVE_amx_bf16)
// Its registers take 8 kB a thread, so that Linux (5.16) wants to be asked first.
bool has_amx_bf16() {
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

#if defined(EPOCHMARK_HAVE_bfmmla)
bool has_bfmmla() {
#if defined(__linux__)
    constexpr unsigned long kBfloat16 = 1UL << 14;  // HWCAP2_BF16
    return getauxval(AT_HWCAP2) & kBfloat16;
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof(has);
    return sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &size, nullptr, 0) == 0 && has;
#else
    return false;
#endif
}
#endif

}  // namespace

const std::vector<Bfloat16Peak>& available_bfloat16() {
    static const std::vector<Bfloat16Peak> found = [] {
        std::vector<Bfloat16Peak> peaks;
#if defined(EPOCHMARK_HAVE_amx_bf16)
        if (has_amx_bf16()) peaks.push_back({"amx_bf16", amx_bf16_peak});
#endif
#if defined(EPOCHMARK_HAVE_avx512_bf16)
        if (has_avx512_bf16()) peaks.push_back({"avx512_bf16", avx512_bf16_peak});
#endif
#if defined(EPOCHMARK_HAVE_bfmmla)
        if (has_bfmmla()) peaks.push_back({"bfmmla", bfmmla_peak});
#endif
        return peaks;
    }();
    return found;
}

}  // namespace epochmark
