// conv_2 with its bias, relu and max pooling: nine tenths of the arithmetic of a step, done by
// minimal filtering F(4x4, 3x3) (winograd.h), which leaves a quarter of the multiplications.
//
// One image at a time and per thread: its 36 tiles fill the 36 x (36 x 32) and 36 x (36 x 64)
// matrices of scratch (0.5 MB) that stay in L2, and each of the 36 products works on 22 KB in L1.
// The output transform adds the bias, pools and keeps only the maximum and which of the four
// outputs it was: a 4 x 4 tile is exactly four pooling windows, so conv_2's full output never
// exists in memory.
//
// Ties: the gradient goes to the first maximum of a window in row-major order. A window whose
// maximum is not above zero passes no gradient: relu'(0) = 0.

#include "../kernels.h"
#include "gemm.h"
#include "simd.h"
#include "transpose.h"
#include "winograd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

namespace {

constexpr int kNoChoice = 4;

// activation [26][26][32] -> [position][tile][channel]
void transform_input(const float* activation, float* transformed) {
    for (int tile = 0; tile < kTiles; ++tile) {
        const int top = tile / kTilesPerSide * 4, left = tile % kTilesPerSide * 4;
        for (int channel = 0; channel < kChannels1; channel += kLanes) {
            const float* from = activation + (top * kSide1 + left) * kChannels1 + channel;
            float* to = transformed + tile * kChannels1 + channel;
            Vec half[6][6];  // [column][row transformed]
            for (int x = 0; x < 6; ++x) {
                Vec d[6];
                for (int y = 0; y < 6; ++y) d[y] = load(from + (y * kSide1 + x) * kChannels1);
                transform_data(d, half[x]);
            }
            for (int y = 0; y < 6; ++y) {
                Vec d[6], v[6];
                for (int x = 0; x < 6; ++x) d[x] = half[x][y];
                transform_data(d, v);
                for (int x = 0; x < 6; ++x) store(to + (y * 6 + x) * kPositionInput, v[x]);
            }
        }
    }
}

// [position][tile][channel] -> gradient [26][26][32], overlapping patches added
void transform_input_back(const float* transformed, float* gradient) {
    for (int i = 0; i < kPlane1 * kChannels1; i += kLanes) store(gradient + i, zero());
    for (int tile = 0; tile < kTiles; ++tile) {
        const int top = tile / kTilesPerSide * 4, left = tile % kTilesPerSide * 4;
        for (int channel = 0; channel < kChannels1; channel += kLanes) {
            const float* from = transformed + tile * kChannels1 + channel;
            float* to = gradient + (top * kSide1 + left) * kChannels1 + channel;
            Vec half[6][6];
            for (int x = 0; x < 6; ++x) {
                Vec v[6];
                for (int y = 0; y < 6; ++y) v[y] = load(from + (y * 6 + x) * kPositionInput);
                transform_data_back(v, half[x]);
            }
            for (int y = 0; y < 6; ++y) {
                Vec v[6], d[6];
                for (int x = 0; x < 6; ++x) v[x] = half[x][y];
                transform_data_back(v, d);
                for (int x = 0; x < 6; ++x) {
                    float* cell = to + (y * kSide1 + x) * kChannels1;
                    store(cell, load(cell) + d[x]);
                }
            }
        }
    }
}

// A tile's four windows share one word per channel: window w's byte says which of its outputs was
// the maximum, 4 for none above zero.
EPOCHMARK_INLINE void store_choice(uint32_t* to, Mask value) {
    *reinterpret_cast<UnalignedMask*>(to) = value;
}

EPOCHMARK_INLINE Mask load_choice(const uint32_t* from) {
    return *reinterpret_cast<const UnalignedMask*>(from);
}

// Bias, relu and 2 x 2 maximum of one window; returns which output it was. Later outputs replace
// earlier ones only if greater: the first maximum in row-major order stays.
EPOCHMARK_INLINE Mask pool_window(const Vec y[4], Vec offset, float* pooled) {
    const Mask right = y[1] > y[0], right_below = y[3] > y[2];
    const Vec above = right ? y[1] : y[0], below = right_below ? y[3] : y[2];
    const Mask down = below > above;
    const Vec value = relu((down ? below : above) + offset);
    store(pooled, value);
    const Mask which = down ? 2 - right_below : -right;  // true is -1
    return value > 0.0f ? which : Mask{} + kNoChoice;
}

// [position][tile][channel] -> pooled [12][12][64]
void transform_output_and_pool(const float* transformed, const float* bias, float* pooled,
                               uint32_t* choice) {
    for (int tile = 0; tile < kTiles; ++tile) {
        const int top = tile / kTilesPerSide * 2, left = tile % kTilesPerSide * 2;
        for (int channel = 0; channel < kChannels2; channel += kLanes) {
            const float* from = transformed + tile * kChannels2 + channel;
            const Vec offset = load(bias + channel);
            Vec half[6][4];
            for (int x = 0; x < 6; ++x) {
                Vec m[6];
                for (int y = 0; y < 6; ++y) m[y] = load(from + (y * 6 + x) * kPositionOutput);
                transform_output(m, half[x]);
            }
            Mask choices = Mask{};
            for (int y = 0; y < 2; ++y) {
                Vec rows[2][4];
                for (int row = 0; row < 2; ++row) {
                    Vec m[6];
                    for (int x = 0; x < 6; ++x) m[x] = half[x][2 * y + row];
                    transform_output(m, rows[row]);
                }
                for (int x = 0; x < 2; ++x) {
                    const Vec window[4] = {rows[0][2 * x], rows[0][2 * x + 1], rows[1][2 * x],
                                           rows[1][2 * x + 1]};
                    const int cell = ((top + y) * kPoolSide + left + x) * kChannels2 + channel;
                    choices |= pool_window(window, offset, pooled + cell) << (8 * (2 * y + x));
                }
            }
            store_choice(choice + tile * kChannels2 + channel, choices);
        }
    }
}

// Gradient of the pooled output [12][12][64] -> [position][tile][channel]; adds the bias gradient.
void transform_pooled_gradient(const float* pooled_gradient, const uint32_t* choice,
                               float* transformed, float* bias_gradient) {
    for (int tile = 0; tile < kTiles; ++tile) {
        const int top = tile / kTilesPerSide * 2, left = tile % kTilesPerSide * 2;
        for (int channel = 0; channel < kChannels2; channel += kLanes) {
            Vec half[4][6];
            Vec bias_sum = zero();
            const Mask choices = load_choice(choice + tile * kChannels2 + channel);
            for (int x = 0; x < 2; ++x) {
                Vec column[2][4];
                for (int y = 0; y < 2; ++y) {
                    const int cell = ((top + y) * kPoolSide + left + x) * kChannels2 + channel;
                    const Vec delta = load(pooled_gradient + cell);
                    const Mask which = choices >> (8 * (2 * y + x)) & 0xff;
                    for (int i = 0; i < 4; ++i)
                        column[i & 1][2 * y + (i >> 1)] = select(which == i, delta);
                    bias_sum += select(which != kNoChoice, delta);
                }
                transform_output_back(column[0], half[2 * x]);
                transform_output_back(column[1], half[2 * x + 1]);
            }
            store(bias_gradient + channel, load(bias_gradient + channel) + bias_sum);
            float* to = transformed + tile * kChannels2 + channel;
            for (int y = 0; y < 6; ++y) {
                Vec d[4], m[6];
                for (int x = 0; x < 4; ++x) d[x] = half[x][y];
                transform_output_back(d, m);
                for (int x = 0; x < 6; ++x) store(to + (y * 6 + x) * kPositionOutput, m[x]);
            }
        }
    }
}

}  // namespace

// kernel [3][3][32][64] -> both orders, for the given input channels (whole vectors of them)
void conv_2_transform_kernel(const float* kernel, int channel_begin, int channel_end,
                             TransformedKernel* transformed) {
    for (int in = channel_begin; in < channel_end; ++in) {
        for (int out = 0; out < kChannels2; out += kLanes) {
            Vec half[3][6];
            for (int x = 0; x < 3; ++x) {
                Vec g[3];
                for (int y = 0; y < 3; ++y)
                    g[y] = load(kernel + ((y * 3 + x) * kChannels1 + in) * kChannels2 + out);
                transform_kernel(g, half[x]);
            }
            for (int y = 0; y < 6; ++y) {
                Vec g[3], u[6];
                for (int x = 0; x < 3; ++x) g[x] = half[x][y];
                transform_kernel(g, u);
                for (int x = 0; x < 6; ++x)
                    store(transformed->forward + (y * 6 + x) * kPositionKernel + in * kChannels2 + out,
                          u[x]);
            }
        }
    }
    for (int position = 0; position < kPositions; ++position) {
        const float* from = transformed->forward + position * kPositionKernel;
        float* to = transformed->backward + position * kPositionKernel;
        for (int in = channel_begin; in < channel_end; in += kLanes)
            for (int out = 0; out < kChannels2; out += kLanes) {
                Vec square[kLanes];
                for (int i = 0; i < kLanes; ++i) square[i] = load(from + (in + i) * kChannels2 + out);
                transpose(square);
                for (int i = 0; i < kLanes; ++i) store(to + (out + i) * kChannels1 + in, square[i]);
            }
    }
}

void conv_2_forward(const TransformedKernel* kernel, const float* bias, ThreadScratch* scratch,
                    float* pooled, uint32_t* choice) {
    transform_input(scratch->activation_1, scratch->input);
    for (int position = 0; position < kPositions; ++position) {
        const float* a = scratch->input + position * kPositionInput;
        const float* b = kernel->forward + position * kPositionKernel;
        float* c = scratch->output + position * kPositionOutput;
        for (int column = 0; column < kChannels2; column += kPanel)
            gemm_column<kTileVectors, kChannels1, 1, kChannels2, kChannels2>(
                kTiles, kChannels1, a, b + column, c + column, false);
    }
    transform_output_and_pool(scratch->output, bias, pooled, choice);
}

// Needs activation_1 of this image in scratch; leaves the gradient of conv_1's output in
// gradient_1 and adds to (or, for the first image, starts) the kernel's transformed gradient.
void conv_2_backward(const TransformedKernel* kernel, const float* pooled_gradient,
                     const uint32_t* choice, bool first, ThreadScratch* scratch) {
    transform_input(scratch->activation_1, scratch->input);
    transform_pooled_gradient(pooled_gradient, choice, scratch->output, scratch->bias_2_gradient);
    for (int position = 0; position < kPositions; ++position) {
        const float* input = scratch->input + position * kPositionInput;
        const float* output = scratch->output + position * kPositionOutput;
        float* input_gradient = scratch->input_gradient + position * kPositionInput;
        float* kernel_gradient = scratch->kernel_2_gradient + position * kPositionKernel;
        const float* back = kernel->backward + position * kPositionKernel;
        for (int column = 0; column < kChannels1; column += kPanel)
            gemm_column<kTileVectors, kChannels2, 1, kChannels1, kChannels1>(
                kTiles, kChannels2, output, back + column, input_gradient + column, false);
        for (int column = 0; column < kChannels2; column += kPanel)
            gemm_column<kTileVectors, 1, kChannels1, kChannels2, kChannels2>(
                kChannels1, kTiles, input, output + column, kernel_gradient + column, !first);
    }
    transform_input_back(scratch->input_gradient, scratch->gradient_1);
}

// Sums the threads' transformed kernel gradients in the order of the threads and transforms the
// sum back to [3][3][32][64], for the given input channels.
void conv_2_reduce_gradient(const ThreadScratch* const* parts, int part_count, int channel_begin,
                            int channel_end, float* gradient) {
    for (int in = channel_begin; in < channel_end; ++in) {
        for (int out = 0; out < kChannels2; out += kLanes) {
            Vec half[6][3];
            for (int x = 0; x < 6; ++x) {
                Vec u[6];
                for (int y = 0; y < 6; ++y) {
                    const int cell = (y * 6 + x) * kPositionKernel + in * kChannels2 + out;
                    u[y] = load(parts[0]->kernel_2_gradient + cell);
                    for (int part = 1; part < part_count; ++part)
                        u[y] += load(parts[part]->kernel_2_gradient + cell);
                }
                transform_kernel_back(u, half[x]);
            }
            for (int y = 0; y < 3; ++y) {
                Vec u[6], g[3];
                for (int x = 0; x < 6; ++x) u[x] = half[x][y];
                transform_kernel_back(u, g);
                for (int x = 0; x < 3; ++x)
                    store(gradient + ((y * 3 + x) * kChannels1 + in) * kChannels2 + out, g[x]);
            }
        }
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
