// How this file was compiled, from what the compiler itself says: empty when as it is released.
// A build with other optimisation or instructions is another yardstick (see em_build in api.h).
#pragma once

#if defined(__OPTIMIZE__)
#define EPOCHMARK_OPTIMISATION ""
#else
#define EPOCHMARK_OPTIMISATION ", not optimised"
#endif

#if defined(__FAST_MATH__)
#define EPOCHMARK_MATHEMATICS ", fast math"
#else
#define EPOCHMARK_MATHEMATICS ""
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EPOCHMARK_SANITIZED ", sanitizer"
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EPOCHMARK_SANITIZED ", sanitizer"
#endif
#if !defined(EPOCHMARK_SANITIZED)
#define EPOCHMARK_SANITIZED ""
#endif

// Lanes of the instruction set this file is for; outside of kernels/ that of every machine.
#if !defined(EPOCHMARK_LANES)
#define EPOCHMARK_WIDEST 4
#else
#define EPOCHMARK_WIDEST EPOCHMARK_LANES
#endif
#if (EPOCHMARK_WIDEST < 8 && defined(__AVX__)) || \
    (EPOCHMARK_WIDEST < 16 && defined(__AVX512F__)) || defined(__ARM_FEATURE_SVE)
#define EPOCHMARK_INSTRUCTIONS ", instructions of one machine"
#else
#define EPOCHMARK_INSTRUCTIONS ""
#endif

#define EPOCHMARK_COMPILED \
    EPOCHMARK_OPTIMISATION EPOCHMARK_MATHEMATICS EPOCHMARK_SANITIZED EPOCHMARK_INSTRUCTIONS
