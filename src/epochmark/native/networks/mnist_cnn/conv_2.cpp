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

#include "networks/mnist_cnn/kernels.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"
#include "kernels/transpose.h"
#include "networks/mnist_cnn/winograd.h"

namespace epochmark {
namespace mnist_cnn {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

namespace {

constexpr int kNoChoice = 4;

// The transforms come in units of one tile and one vector of channels.
constexpr int kUnits1 = kTiles * kChannels1 / kLanes;

// Deals out units evenly over the columns of a product. The transforms store to L2, which takes
// twice as long as their arithmetic; between the products' tiles the store buffer does it meanwhile.
class OverlappedWork {
  public:
    OverlappedWork(int units, int columns) : units_(units), columns_(columns) {}
    // After each column: how many units to do now, each with the number next() gives.
    int due() { return units_ * ++column_ / columns_ - unit_; }
    int next() { return unit_++; }

  private:
    const int units_, columns_;
    int column_ = 0, unit_ = 0;
};

struct Place {
    int tile, channel;
};
EPOCHMARK_INLINE Place place(int unit, int channels) {
    const int vectors = channels / kLanes;
    return {unit / vectors, unit % vectors * kLanes};
}

// activation [26][26][32] -> [position][tile][channel]
EPOCHMARK_APART void transform_input(const float* activation, float* transformed, int unit) {
    const Place at = place(unit, kChannels1);
    const int top = at.tile / kTilesPerSide * 4, left = at.tile % kTilesPerSide * 4;
    const float* from = activation + (top * kSide1 + left) * kChannels1 + at.channel;
    float* to = transformed + at.tile * kChannels1 + at.channel;
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

// [position][tile][channel] -> gradient [26][26][32], overlapping patches added. Units in order: a
// cell is stored by its first tile and added to by later ones.
EPOCHMARK_APART void transform_input_back(const float* transformed, float* gradient, int unit) {
    const Place at = place(unit, kChannels1);
    const int top = at.tile / kTilesPerSide * 4, left = at.tile % kTilesPerSide * 4;
    const float* from = transformed + at.tile * kChannels1 + at.channel;
    float* to = gradient + (top * kSide1 + left) * kChannels1 + at.channel;
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
        float* cell = to + y * kSide1 * kChannels1;
        if (y < 2 && top > 0) {
            for (int x = 0; x < 6; ++x) d[x] += load(cell + x * kChannels1);
        } else if (left > 0) {
            for (int x = 0; x < 2; ++x) d[x] += load(cell + x * kChannels1);
        }
        for (int x = 0; x < 6; ++x) store(cell + x * kChannels1, d[x]);
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

// The input of the first of several images, from activation_1; see conv_2_forward.
void conv_2_begin(int slot, ThreadScratch* scratch) {
    for (int unit = 0; unit < kUnits1; ++unit)
        transform_input(scratch->activation_1, scratch->input[slot], unit);
}

// The image whose transformed input is in `slot`. When there is a next one, its activation_1 is
// transformed into the other slot meanwhile.
void conv_2_forward(const TransformedKernel* kernel, const float* bias, int slot, bool next,
                    ThreadScratch* scratch, float* pooled, uint32_t* choice) {
    OverlappedWork units(next ? kUnits1 : 0, kPositions * (kChannels2 / kPanel));
    for (int position = 0; position < kPositions; ++position) {
        const float* a = scratch->input[slot] + position * kPositionInput;
        const float* b = kernel->forward + position * kPositionKernel;
        float* c = scratch->output + position * kPositionOutput;
        for (int column = 0; column < kChannels2; column += kPanel) {
            gemm_column<kTileVectors, kChannels1, 1, kChannels2, kChannels2>(
                kTiles, kChannels1, a, b + column, c + column, false);
            for (int left = units.due(); left > 0; --left)
                transform_input(scratch->activation_1, scratch->input[!slot], units.next());
        }
    }
    transform_output_and_pool(scratch->output, bias, pooled, choice);
}

// Needs activation_1 of this image in scratch; leaves the gradient of conv_1's output in
// gradient_1 and adds to (or, for the first image, starts) the kernel's transformed gradient.
void conv_2_backward(const TransformedKernel* kernel, const float* pooled_gradient,
                     const uint32_t* choice, bool first, ThreadScratch* scratch) {
    transform_pooled_gradient(pooled_gradient, choice, scratch->output, scratch->bias_2_gradient);
    float* input = scratch->input[0];
    OverlappedWork inputs(kUnits1, kPositions * (kChannels1 / kPanel));
    for (int position = 0; position < kPositions; ++position) {
        for (int column = 0; column < kChannels1; column += kPanel) {
            gemm_column<kTileVectors, kChannels2, 1, kChannels1, kChannels1>(
                kTiles, kChannels2, scratch->output + position * kPositionOutput,
                kernel->backward + position * kPositionKernel + column,
                scratch->input_gradient + position * kPositionInput + column, false);
            for (int left = inputs.due(); left > 0; --left)
                transform_input(scratch->activation_1, input, inputs.next());
        }
    }
    OverlappedWork gradients(kUnits1, kPositions * (kChannels2 / kPanel));
    for (int position = 0; position < kPositions; ++position) {
        for (int column = 0; column < kChannels2; column += kPanel) {
            gemm_column<kTileVectors, 1, kChannels1, kChannels2, kChannels2>(
                kChannels1, kTiles, input + position * kPositionInput,
                scratch->output + position * kPositionOutput + column,
                scratch->kernel_2_gradient + position * kPositionKernel + column, !first);
            for (int left = gradients.due(); left > 0; --left)
                transform_input_back(scratch->input_gradient, scratch->gradient_1,
                                     gradients.next());
        }
    }
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
}  // namespace mnist_cnn
}  // namespace epochmark
