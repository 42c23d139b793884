// The ends of the network: symbols to rows of the table, and scores of all symbols to the loss.
//
// Scores come kScoredRows positions at a time (128 kB of 256 symbols) from a product with the table,
// are turned into their gradient where they lie, and are used by the two products back; those of a
// batch never exist. Three passes over a row: the largest, the exponentials and their sum, the gradient.
//
// The table's gradient is that of the scores' product first, then symbol by symbol in the order of the
// positions, so it does not depend on how threads run.

#include "kernels/exponential.h"
#include "kernels/lanes.h"
#include "networks/gpt/products.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

// The first symbol with the largest score is the answer.
bool is_first(int target, const float* row, ptrdiff_t stride, float largest) {
    for (int symbol = 0; symbol < target; ++symbol)
        if (row[symbol / kPanel * stride + symbol % kPanel] == largest) return false;
    return true;
}

}  // namespace

void embed(const uint8_t* symbols, int context, int width, Panels table, Panels positions,
           Panels values) {
    for (int column = 0; column < width; column += kPanel) {
        const float* rows = panel_of(table, column);
        const float* places = panel_of(positions, column);
        float* to = panel_of(values, column);
        for (int i = 0; i < context; ++i)
            for (int j = 0; j < kPanel; j += kLanes)
                store(to + i * kPanel + j, load(rows + ptrdiff_t(symbols[i]) * kPanel + j) +
                                               load(places + i * kPanel + j));
    }
}

void embed_backward(const uint8_t* symbols, int context, int width, Panels gradient,
                    Panels table_gradient, Panels position_gradient) {
    for (int column = 0; column < width; column += kPanel) {
        float* rows = panel_of(table_gradient, column);
        float* places = panel_of(position_gradient, column);
        const float* from = panel_of(gradient, column);
        for (int i = 0; i < context; ++i)
            for (int j = 0; j < kPanel; j += kLanes) {
                const Vec delta = load(from + i * kPanel + j);
                float* row = rows + ptrdiff_t(symbols[i]) * kPanel + j;
                float* place = places + i * kPanel + j;
                store(row, load(row) + delta);
                store(place, load(place) + delta);
            }
    }
}

Scored score(int rows, int vocabulary, Panels scores, const uint8_t* targets, float scale) {
    Scored result{0.0, 0};
    for (int i = 0; i < rows; ++i) {
        float* row = scores.data + i * kPanel;
        Vec most = load(row);
        for (int column = 0; column < vocabulary; column += kPanel)
            for (int j = 0; j < kPanel; j += kLanes) {
                const Vec value = load(row + column / kPanel * scores.stride + j);
                most = value > most ? value : most;
            }
        const float largest = largest_lane(most);
        Vec sum = zero();
        float* own = row + targets[i] / kPanel * scores.stride + targets[i] % kPanel;
        const float score = *own;
        result.correct += score == largest && is_first(targets[i], row, scores.stride, largest);
        for (int column = 0; column < vocabulary; column += kPanel)
            for (int j = 0; j < kPanel; j += kLanes) {
                float* at = row + column / kPanel * scores.stride + j;
                const Vec power = power_of_2((load(at) - largest) * kLog2OfE);
                sum += power;
                store(at, power);
            }
        const float total = sum_lanes(sum);
        result.loss_sum += double(__builtin_logf(total)) - (double(score) - double(largest));
        const float factor = scale / total;
        for (int column = 0; column < vocabulary; column += kPanel)
            for (int j = 0; j < kPanel; j += kLanes) {
                float* at = row + column / kPanel * scores.stride + j;
                store(at, load(at) * factor);
            }
        *own -= scale;
    }
    return result;
}

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
