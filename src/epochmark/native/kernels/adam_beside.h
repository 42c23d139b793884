// A product with Adam beside it. The divisions and square roots of Adam keep one unit of a core busy
// and leave the multipliers idle; the sums of a product wait for nothing but the multipliers. A vector of
// weights is taken after every few steps of a product, so that both go on at once: a tile of weights is
// updated while the next tile's products run.
//
// A core works ahead by as many instructions as it has registers to rename (about 60 cycles of a product
// with AVX-512) and waits where one result takes longer. From gradient to weight Adam takes some 90, so
// it is cut into four parts that follow each other at the next calls. Measured on a Xeon (family 6,
// model 207), a product with a vector of Adam after every second step takes 5 % longer than without;
// with all of Adam at each call 60 % longer, as long as one after the other.
#pragma once

#include "kernels/adam.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

// Updates weights that lie together, a vector at each call and three vectors behind: those of a tile
// after those of the one before it.
class AdamBeside {
  public:
    // `pending` holds two vectors. `next`: floats from a tile to the next, to fetch it in time.
    AdamBeside(const Parameters& at, const AdamStep* step, float* pending, int next)
        : at_(at), step_(step), pending_(pending), next_(next) {}

    // The next `count` weights, a multiple of kLanes and at least 3 vectors the first time, and their
    // gradient. finish() has come before.
    void start(const float* gradient, int count) {
        gradient_ = gradient;
        left_ = count;
        if (started_) return;
        started_ = true;
        moments(0);
        root(0);
        moments(kLanes);
        quotient(0);
        root(kLanes);
        moments(2 * kLanes);
    }

    EPOCHMARK_INLINE void operator()() {
        if (left_ > 0) advance();
    }

    // All moments of what was started; the last three weights follow at the next calls.
    void finish() {
        while (left_ > 0) advance();
    }

    // The last three weights.
    void end() {
        if (!started_) return;
        weight(0);
        quotient(kLanes);
        root(2 * kLanes);
        weight(kLanes);
        quotient(2 * kLanes);
        weight(2 * kLanes);
    }

  private:
    // Each part takes what the one before it left in memory, so that no result waits for all of it.
    EPOCHMARK_INLINE void advance() {
        __builtin_prefetch(at_.value + 2 * next_, 1, 2);
        __builtin_prefetch(at_.first_moment + next_, 1, 2);
        __builtin_prefetch(at_.second_moment + next_, 1, 2);
        weight(0);
        quotient(kLanes);
        root(2 * kLanes);
        moments(3 * kLanes);
        at_.value += kLanes;
        at_.first_moment += kLanes;
        at_.second_moment += kLanes;
    }

    EPOCHMARK_INLINE void moments(int i) {
        const AdamStep* step = constants();
        const Vec g = load(gradient_);
        Vec m = load(at_.first_moment + i), v = load(at_.second_moment + i);
        m += (g - m) * step->one_minus_beta_1;
        v += (g * g - v) * step->one_minus_beta_2;
        store(at_.first_moment + i, m);
        store(at_.second_moment + i, v);
        gradient_ += kLanes;
        left_ -= kLanes;
    }

    EPOCHMARK_INLINE void root(int i) {
        store(pending_, square_root(load(at_.second_moment + i)));
    }

    EPOCHMARK_INLINE void quotient(int i) {
        const AdamStep* step = constants();
        store(pending_ + kLanes, step->rate * load(at_.first_moment + i) /
                                     (load(pending_) + step->epsilon));
    }

    EPOCHMARK_INLINE void weight(int i) {
        store(at_.value + i, load(at_.value + i) - load(pending_ + kLanes));
    }

    // From memory each time: the product needs the registers.
    EPOCHMARK_INLINE const AdamStep* constants() const {
        const AdamStep* step = step_;
        asm volatile("" : "+r"(step));
        return step;
    }

    Parameters at_;  // of the weight that is finished next
    const AdamStep* step_;
    float* pending_;  // a square root, and a quotient
    const int next_;
    const float* gradient_ = nullptr;
    int left_ = 0;
    bool started_ = false;
};

// gemm_tile with a call of beside() after every kEvery steps.
template <int kRows, int kVectors, ptrdiff_t kRowA, ptrdiff_t kStepA, ptrdiff_t kStepB,
          ptrdiff_t kRowC, int kEvery, typename Beside, typename F>
static EPOCHMARK_INLINE void gemm_tile_beside(int depth, const F* a, const F* b, float* c,
                                              bool accumulate, Beside& beside) {
    Vec sum[kRows][kVectors];
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kVectors; ++j) sum[i][j] = zero();
    for (int left = depth; left > 0; left -= kEvery) {
#pragma GCC unroll 1
        for (int k = left < kEvery ? left : kEvery; k > 0; --k) {
            decltype(load_right(b)) right[kVectors];
            for (int j = 0; j < kVectors; ++j) right[j] = load_right(b + j * kLanes);
            for (int i = 0; i < kRows; ++i) {
                const F left = a[i * kRowA];
                for (int j = 0; j < kVectors; ++j) add_product(sum[i][j], left, right[j]);
            }
            a += kStepA;
            b += kStepB;
        }
        beside();
    }
    if (accumulate)
        for (int i = 0; i < kRows; ++i)
            for (int j = 0; j < kVectors; ++j) sum[i][j] += load(c + i * kRowC + j * kLanes);
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kVectors; ++j) store(c + i * kRowC + j * kLanes, sum[i][j]);
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
