// The compiler's vector types at the width this translation unit is compiled for.
//
// Every file in this folder is compiled once per instruction set, each time with its own
// EPOCHMARK_ISA (a namespace, so that no two variants share a symbol), EPOCHMARK_LANES and
// compiler flags. For the same reason nothing here includes a C++ standard header with inline
// functions: the linker might keep the AVX-512 copy of one for everybody.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define EPOCHMARK_INLINE inline __attribute__((always_inline))
// For work beside a product: inlined, its constants take registers that the product's sums need.
#define EPOCHMARK_APART __attribute__((noinline))

namespace epochmark {
namespace EPOCHMARK_ISA {

constexpr int kLanes = EPOCHMARK_LANES;

typedef float Vec __attribute__((vector_size(EPOCHMARK_LANES * 4)));
typedef int32_t Mask __attribute__((vector_size(EPOCHMARK_LANES * 4)));
typedef float UnalignedVec __attribute__((vector_size(EPOCHMARK_LANES * 4), aligned(4), may_alias));
typedef int32_t UnalignedMask
    __attribute__((vector_size(EPOCHMARK_LANES * 4), aligned(4), may_alias));

// Register blocking of the matrix kernels (gemm.h): rows x vectors of accumulators, two vectors of
// the right-hand side and one broadcast must fit the 16 or 32 vector registers.
#if EPOCHMARK_REGISTERS >= 32 && EPOCHMARK_LANES >= 16
constexpr int kTileRows = 12;
constexpr int kTileVectors = 2;
#elif EPOCHMARK_REGISTERS >= 32
constexpr int kTileRows = 6;
constexpr int kTileVectors = 4;
#else
constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
#endif
constexpr int kPanel = kTileVectors * kLanes;

static EPOCHMARK_INLINE Vec load(const float* from) {
    return *reinterpret_cast<const UnalignedVec*>(from);
}
static EPOCHMARK_INLINE void store(float* to, Vec value) {
    *reinterpret_cast<UnalignedVec*>(to) = value;
}
static EPOCHMARK_INLINE Vec zero() { return Vec{}; }
static EPOCHMARK_INLINE Vec select(Mask where, Vec value) {  // value where true, else 0
    return reinterpret_cast<Vec>(where & reinterpret_cast<Mask>(value));
}
// The vector types have no operator for it. (With _mm512_sqrt_ps, GCC 12 warns of its own header.)
static EPOCHMARK_INLINE Vec square_root(Vec value) {
#if EPOCHMARK_LANES == 16 && defined(__AVX512F__)
    return reinterpret_cast<Vec>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(value)));
#elif EPOCHMARK_LANES == 8 && defined(__AVX__)
    return reinterpret_cast<Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(value)));
#elif EPOCHMARK_LANES == 4 && defined(__SSE2__)
    return reinterpret_cast<Vec>(_mm_sqrt_ps(reinterpret_cast<__m128>(value)));
#elif EPOCHMARK_LANES == 4 && defined(__aarch64__)
    return reinterpret_cast<Vec>(vsqrtq_f32(reinterpret_cast<float32x4_t>(value)));
#else
    for (int i = 0; i < kLanes; ++i) value[i] = __builtin_sqrtf(value[i]);
    return value;
#endif
}
// Written so that NaN stays NaN: a diverged run must be seen.
static EPOCHMARK_INLINE Vec relu(Vec value) { return value < 0.0f ? zero() : value; }

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
