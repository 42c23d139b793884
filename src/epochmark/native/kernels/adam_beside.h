// A product with Adam beside it. The divisions and square roots of Adam keep one unit of a core busy
// for tens of cycles and leave the multipliers idle; the sums of a product wait for nothing but the
// multipliers. Taken in turns, a vector of weights after every few steps of a product, they overlap,
// which a core's own reordering (some 500 instructions) does only at their borders.
//
// So a tile of weights is updated while the next tile's products run. Each vector also fetches what
// will be wanted one and two tiles later.
#pragma once

#include "kernels/adam.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

// The update of `count` weights that lie together, a vector at each call. `count` is a multiple of
// kLanes; 0 is nothing to do.
class AdamBeside {
  public:
    explicit AdamBeside(const AdamStep* step) : step_(step) {}

    void start(const Parameters& at, const float* gradient, int count, int next) {
        at_ = at;
        gradient_ = gradient;
        left_ = count;
        next_ = next;
    }

    EPOCHMARK_INLINE void operator()() {
        if (left_ > 0) update();
    }

    void finish() {
        while (left_ > 0) update();
    }

  private:
    EPOCHMARK_INLINE void update() {
        __builtin_prefetch(at_.value + 2 * next_, 1, 2);
        __builtin_prefetch(at_.first_moment + next_, 1, 2);
        __builtin_prefetch(at_.second_moment + next_, 1, 2);
        const AdamStep* step = step_;
        asm volatile("" : "+r"(step));  // constants from memory: the product needs the registers
        const Vec g = load(gradient_);
        Vec m = load(at_.first_moment), v = load(at_.second_moment);
        m += (g - m) * step->one_minus_beta_1;
        v += (g * g - v) * step->one_minus_beta_2;
        store(at_.first_moment, m);
        store(at_.second_moment, v);
        store(at_.value, load(at_.value) - step->rate * m / (square_root(v) + step->epsilon));
        at_.value += kLanes;
        at_.first_moment += kLanes;
        at_.second_moment += kLanes;
        gradient_ += kLanes;
        left_ -= kLanes;
    }

    const AdamStep* step_;
    Parameters at_{};
    const float* gradient_ = nullptr;
    int left_ = 0;
    int next_ = 0;  // floats from a tile to the next
};

// gemm_tile with a call of beside() after every kEvery steps.
template <int kRows, int kVectors, ptrdiff_t kRowA, ptrdiff_t kStepA, ptrdiff_t kStepB,
          ptrdiff_t kRowC, int kEvery, typename Beside>
static EPOCHMARK_INLINE void gemm_tile_beside(int depth, const float* a, const float* b, float* c,
                                              bool accumulate, Beside& beside) {
    Vec sum[kRows][kVectors];
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kVectors; ++j) sum[i][j] = zero();
    for (int left = depth; left > 0; left -= kEvery) {
#pragma GCC unroll 1
        for (int k = left < kEvery ? left : kEvery; k > 0; --k) {
            Vec right[kVectors];
            for (int j = 0; j < kVectors; ++j) right[j] = load(b + j * kLanes);
            for (int i = 0; i < kRows; ++i) {
                const float factor = a[i * kRowA];
                for (int j = 0; j < kVectors; ++j) sum[i][j] += factor * right[j];
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
