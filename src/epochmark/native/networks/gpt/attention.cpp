// Causal attention of one sequence, head by head, in blocks of kScoredRows queries.
//
// A block's scores (64 kB of 128 positions) stay in L2 with the head's query, key and value. Products
// skip what the mask hides: scores start with the first row of the block that sees a panel of keys, sums
// over keys end with the last that a tile of rows sees, and sums over queries begin with the first that
// sees a panel. What a row of softmax does not see within its panel is set to zero; what is beyond is
// never read. Of 8,256 pairs of 128 positions 10,240 are computed as scores and 8,944 as sums.
//
// Backward makes the scores again from what forward left of each row, its largest score and its sum: less
// than a hundredth of a step's arithmetic, and a fifth less to keep. Keys and values are transposed for
// the products that go along a head's units.

#include "kernels/exponential.h"
#include "kernels/lanes.h"
#include "networks/gpt/products.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

// Rows that one call of a product takes where its depth depends on the row.
constexpr int kRowsAtOnce = kTileRows > 8 ? kTileRows : 8;

EPOCHMARK_INLINE int smaller(int a, int b) { return a < b ? a : b; }

// Some queries of a head and all keys up to the last of them.
struct Queries {
    int first, count, size;
    float scale;  // of scores
    int keys() const { return first + count; }
    // The first of these rows that sees any of the panel of keys.
    int start(int key) const { return key > first ? key - first : 0; }
    // Up to here the products read a row of shares.
    int end(int row) const {
        return (smaller(keys(), first + row + kRowsAtOnce) + kPanel - 1) / kPanel * kPanel;
    }
};

// query [..][size], transposed [size][keys]: result [count][keys], without what no row sees.
void multiply_seen(const Queries& at, Left query, Right transposed, Panels result) {
    for (int key = 0; key < at.keys(); key += kPanel) {
        const int start = at.start(key);
        multiply_panel(at.count - start, at.size, from_row(query, at.first + start),
                       transposed.at(0, key), nullptr, Into::replace,
                       panel_of(result, key) + start * kPanel, nullptr);
    }
}

// shares [count][keys] times right [keys][size].
void sum_over_keys(const Queries& at, Left shares, Right right, Panels result) {
    for (int column = 0; column < at.size; column += kPanel)
        for (int row = 0; row < at.count;) {
            const int left = at.count - row;
            const int rows = left == 8 ? 8 : smaller(kTileRows, left);
            multiply_panel(rows, at.first + row + rows, from_row(shares, row),
                           right.at(0, column), nullptr, Into::replace,
                           panel_of(result, column) + ptrdiff_t(at.first + row) * kPanel, nullptr);
            row += rows;
        }
}

// transposed shares [keys][count] times right [..][size]; earlier queries have been summed.
void sum_over_queries(const Queries& at, Right shares, Right right, Panels result) {
    for (int key = 0; key < at.keys(); key += kPanel) {
        const int start = at.start(key);
        for (int column = 0; column < at.size; column += kPanel)
            multiply_square(at.count - start, shares.at(start, key), right.at(at.first + start, column),
                            key >= at.first ? Into::replace : Into::add,
                            panel_of(result, column) + ptrdiff_t(key) * kPanel);
    }
}

// A row of scores or shares, vector by vector.
struct Row {
    Panels matrix;
    ptrdiff_t offset;
    EPOCHMARK_INLINE float* at(int key) const {
        return matrix.data + key / kPanel * matrix.stride + offset + key % kPanel;
    }
};

// Scores to shares; leaves the row's largest scaled score and one over its sum. The vector that has the
// row's own key is the last that is seen, in part or as a whole.
void softmax_rows(const Queries& at, Panels scores, float* left) {
    const float scale = at.scale * kLog2OfE;
    const Mask lanes = lane_numbers();
    for (int i = 0; i < at.count; ++i) {
        const Row row{scores, ptrdiff_t(i) * kPanel};
        const int query = at.first + i, last = query / kLanes * kLanes, end = at.end(i);
        const Mask seen = lanes <= query - last;
        Vec most = seen ? load(row.at(last)) : zero() - 3.4e38f;
        for (int key = 0; key < last; key += kLanes) {
            const Vec value = load(row.at(key));
            most = value > most ? value : most;
        }
        const float largest = largest_lane(most) * scale;
        const Vec own = select(seen, power_of_2(load(row.at(last)) * scale - largest));
        Vec sum = own;
        for (int key = 0; key < last; key += kLanes) {
            const Vec power = power_of_2(load(row.at(key)) * scale - largest);
            store(row.at(key), power);
            sum += power;
        }
        const float inverse = 1.0f / sum_lanes(sum);
        for (int key = 0; key < last; key += kLanes) store(row.at(key), load(row.at(key)) * inverse);
        store(row.at(last), own * inverse);
        for (int key = last + kLanes; key < end; key += kLanes) store(row.at(key), zero());
        left[2 * query] = largest;
        left[2 * query + 1] = inverse;
    }
}

// Scores to shares once more, and the gradient of the shares to that of the unscaled scores.
void softmax_rows_backward(const Queries& at, Panels scores, Panels slopes, const float* left) {
    const float scale = at.scale * kLog2OfE;
    const Mask lanes = lane_numbers();
    for (int i = 0; i < at.count; ++i) {
        const Row row{scores, ptrdiff_t(i) * kPanel}, slope{slopes, ptrdiff_t(i) * kPanel};
        const int query = at.first + i, last = query / kLanes * kLanes, end = at.end(i);
        const float largest = left[2 * query], inverse = left[2 * query + 1];
        const Mask seen = lanes <= query - last;
        const Vec own = select(seen, power_of_2(load(row.at(last)) * scale - largest) * inverse);
        const Vec own_slope = select(seen, load(slope.at(last)));
        Vec along = own * own_slope;
        for (int key = 0; key < last; key += kLanes) {
            const Vec share = power_of_2(load(row.at(key)) * scale - largest) * inverse;
            store(row.at(key), share);
            along += share * load(slope.at(key));
        }
        const float mean = sum_lanes(along);
        for (int key = 0; key < last; key += kLanes)
            store(slope.at(key), load(row.at(key)) * (load(slope.at(key)) - mean) * at.scale);
        store(row.at(last), own);
        store(slope.at(last), own * (own_slope - mean) * at.scale);
        for (int key = last + kLanes; key < end; key += kLanes) {
            store(row.at(key), zero());
            store(slope.at(key), zero());
        }
    }
}

struct Head {
    Panels query, key, value;
};

EPOCHMARK_INLINE Head head_of(Panels joined, int width, int column) {
    return {from_column(joined, column), from_column(joined, width + column),
            from_column(joined, 2 * width + column)};
}

EPOCHMARK_INLINE float score_scale(int size) { return 1.0f / __builtin_sqrtf(float(size)); }

// The parts of a thread's scratch.
struct Scratch {
    Panels scores, slopes, keys, values;
    // Room for factors that are rounded: four matrices of a head, one that is used at once, and a block's
    // scores or slopes. In float32 nothing is.
    Factor *query = nullptr, *gradient = nullptr, *key = nullptr, *value = nullptr, *other = nullptr,
           *shares = nullptr;

    Scratch(float* data, int context, int size) {
        const int rows = smaller(context, kScoredRows);
        const ptrdiff_t square = ptrdiff_t(rows) * context, across = ptrdiff_t(size) * context;
        scores = {data, ptrdiff_t(rows) * kPanel};
        slopes = {data + square, ptrdiff_t(rows) * kPanel};
        keys = {data + 2 * square, ptrdiff_t(size) * kPanel};
        values = {data + 2 * square + across, ptrdiff_t(size) * kPanel};
        if (kTogether == 1) return;
        Factor* room = reinterpret_cast<Factor*>(data + 2 * (square + across));
        Factor** const matrices[] = {&query, &gradient, &key, &value, &other};
        for (Factor** part : matrices) {
            *part = room;
            room += across / kTogether;
        }
        shares = room;
    }
};

// Floats that the factors take.
EPOCHMARK_INLINE int64_t rounded_scratch(int64_t square, int64_t across) {
    return kTogether == 1 ? 0 : (5 * across + square) / kTogether;
}

}  // namespace

int64_t attention_scratch(int context, int width, int heads) {
    const int64_t square = int64_t(context) * smaller(context, kScoredRows);
    const int64_t across = int64_t(context) * (width / heads);
    return 2 * (square + across) + rounded_scratch(square, across);
}

void attend(const Attention* layer) {
    const int context = layer->context, size = layer->width / layer->heads;
    const Scratch scratch(layer->scratch, context, size);
    for (int head = 0; head < layer->heads; ++head) {
        const Head parts = head_of(layer->joined, layer->width, head * size);
        transpose_matrix(context, size, parts.key, scratch.keys);
        const Left query = along_rows(context, size, parts.query, scratch.query);
        const Right keys = along_columns(size, context, scratch.keys, scratch.key);
        const Right value = along_columns(context, size, parts.value, scratch.value);
        for (int first = 0; first < context; first += kScoredRows) {
            const Queries at{first, smaller(kScoredRows, context - first), size, score_scale(size)};
            multiply_seen(at, query, keys, scratch.scores);
            softmax_rows(at, scratch.scores, layer->softmax + 2 * ptrdiff_t(head) * context);
            sum_over_keys(at, along_rows(at.count, at.keys(), scratch.scores, scratch.shares), value,
                          from_column(layer->result, head * size));
        }
    }
}

void attend_backward(const Attention* layer, Panels result_gradient, Panels joined_gradient) {
    const int context = layer->context, size = layer->width / layer->heads;
    const Scratch scratch(layer->scratch, context, size);
    for (int head = 0; head < layer->heads; ++head) {
        const Head parts = head_of(layer->joined, layer->width, head * size);
        const Head gradients = head_of(joined_gradient, layer->width, head * size);
        const Panels result = from_column(result_gradient, head * size);
        transpose_matrix(context, size, parts.key, scratch.keys);
        transpose_matrix(context, size, parts.value, scratch.values);
        const Left query = along_rows(context, size, parts.query, scratch.query);
        const Left gradient = along_rows(context, size, result, scratch.gradient);
        const Right keys = along_columns(size, context, scratch.keys, scratch.key);
        const Right values = along_columns(size, context, scratch.values, scratch.value);
        for (int first = 0; first < context; first += kScoredRows) {
            const Queries at{first, smaller(kScoredRows, context - first), size, score_scale(size)};
            multiply_seen(at, query, keys, scratch.scores);
            multiply_seen(at, gradient, values, scratch.slopes);
            softmax_rows_backward(at, scratch.scores, scratch.slopes,
                                  layer->softmax + 2 * ptrdiff_t(head) * context);
            sum_over_queries(
                at, along_columns(at.count, at.keys(), scratch.scores, scratch.shares),
                along_columns(context, size, result, scratch.other), gradients.value);
            sum_over_queries(
                at, along_columns(at.count, at.keys(), scratch.slopes, scratch.shares),
                along_columns(context, size, parts.query, scratch.other), gradients.key);
            sum_over_keys(at, along_rows(at.count, at.keys(), scratch.slopes, scratch.shares),
                          along_columns(context, size, parts.key, scratch.other),
                          gradients.query);
        }
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
