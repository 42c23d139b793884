// One training step of a GPT. Each thread takes its sequences through the whole network, forward and
// back, a chunk at a time, so that what forward leaves for backward is that of one chunk (10 MB of
// gpt-3m's 256 positions), and threads meet once: to add their gradients and update the weights,
// each its own columns of every matrix.
//
// Gradients are summed over the positions of a chunk, then over a thread's chunks, then in the order of
// the threads, so the result depends on the seed, the thread count and the instruction set only.

#include "networks/gpt/network.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "runtime/share.h"

namespace epochmark {
namespace gpt {

namespace {

// Enough rows to use a panel of weights in L1 for, few enough to stay in L2.
constexpr int kChunkRows = 256;

// Hands out parts of one array, or counts what they need.
class Parts {
  public:
    explicit Parts(float* data) : data_(data) {}
    float* take(std::int64_t count) {
        float* part = data_ ? data_ + taken_ : nullptr;
        taken_ += (count + 15) / 16 * 16;  // cache lines
        return part;
    }
    std::int64_t taken() const { return taken_; }

  private:
    float* data_;
    std::int64_t taken_ = 0;
};

Panels from_row(Panels matrix, int row, int panel) {
    return {matrix.data + std::int64_t(row) * panel, matrix.stride};
}

// With sequences of that many symbols; the table of positions keeps its rows.
Sizes shortened(Sizes sizes, int context) {
    if (context < 0 || context > sizes.context || context % 32)
        throw std::invalid_argument("sequences have a multiple of 32 symbols, at most " +
                                    std::to_string(sizes.context));
    if (context) sizes.context = context;
    return sizes;
}

}  // namespace

Gpt::Gpt(const Setup& setup, const Sizes& sizes)
    : Gpt(setup, shortened(sizes, setup.context), Layout(sizes)) {}

Gpt::Gpt(const Setup& setup, const Sizes& sizes, const Layout& layout)
    : Network(setup, layout.parameters, layout.parameters),
      kernels_(*setup.kernels.gpt),
      sizes_(sizes),
      layout_(layout),
      chunk_(std::max(1, std::min(kChunkRows / sizes.context,
                                  (setup.batch + setup.threads - 1) / setup.threads))),
      transposed_(layout_.transposed),
      workers_(std::size_t(std::min(setup.threads, setup.batch))) {
    for (Worker& worker : workers_) {
        make_worker(worker);
        gradients_.push_back(worker.gradients);
    }
}

void Gpt::make_worker(Worker& worker) const {
    const int rows = chunk_ * sizes_.context, width = sizes_.width, panel = shared_.panel;
    const auto lay_out = [&](Parts parts) {
        const auto panels = [&](int columns, int count) {
            const std::int64_t stride = std::int64_t(count) * panel;
            return Panels{parts.take(stride * (columns / panel)), stride};
        };
        worker.gradients = parts.take(std::int64_t(layout_.parameters));
        for (Panels* matrix : {&worker.values, &worker.result, &worker.gradient,
                               &worker.result_gradient, &worker.normalised})
            *matrix = panels(width, rows);
        worker.joined_gradient = panels(3 * width, rows);
        worker.scores = panels(sizes_.vocabulary, std::min(rows, kScoredRows));
        worker.deviation = parts.take(rows);
        worker.attention_scratch =
            parts.take(kernels_.attention_scratch(sizes_.context, width, sizes_.heads));
        worker.feed_forward_scratch = parts.take(2 * std::int64_t(rows) * kHiddenGroup);
        for (Kept& kept : worker.kept) {
            for (Panels* matrix : {&kept.normalised_1, &kept.attended, &kept.normalised_2})
                *matrix = panels(width, rows);
            kept.joined = panels(3 * width, rows);
            kept.before = panels(sizes_.feed_forward, rows);
            kept.deviation_1 = parts.take(rows);
            kept.deviation_2 = parts.take(rows);
            kept.softmax = parts.take(2 * std::int64_t(rows) * sizes_.heads);
        }
        return parts.taken();
    };
    worker.kept.resize(std::size_t(sizes_.blocks));
    worker.memory = AlignedArray<float>(std::size_t(lay_out(Parts(nullptr))));
    lay_out(Parts(worker.memory.get()));
}

void Gpt::arrange(const float* from, float* to, Order order) const {
    const std::size_t panel = std::size_t(shared_.panel);
    for (const Piece& piece : layout_.pieces) {
        const std::size_t rows = std::size_t(piece.rows), columns = std::size_t(piece.columns);
        for (std::size_t column = 0; column < columns; column += panel)
            for (std::size_t row = 0; row < rows; ++row) {
                const std::size_t plain = piece.plain + row * columns + column;
                const std::size_t stored = piece.stored + column * rows + row * panel;
                const bool store = order == Order::stored;
                std::memcpy(to + (store ? stored : plain), from + (store ? plain : stored),
                            panel * sizeof(float));
            }
    }
}

void Gpt::parameters_changed() {
    const int panel = shared_.panel;
    for (const Tensor& tensor : layout_.tensors) {
        if (tensor.transposed < 0) continue;
        const Panels from = weights(tensor), to = transposed(tensor);
        for (int column = 0; column < tensor.columns; column += panel)
            for (int row = 0; row < tensor.rows; row += panel)
                kernels_.transpose_square(
                    from.data + column / panel * from.stride + std::int64_t(row) * panel,
                    to.data + row / panel * to.stride + std::int64_t(column) * panel);
    }
}

Panels Gpt::of(const Tensor& tensor, float* base) const {
    return {base + tensor.offset, std::int64_t(tensor.rows) * shared_.panel};
}

Panels Gpt::transposed(const Tensor& tensor) const {
    return {transposed_.get() + tensor.transposed, std::int64_t(tensor.columns) * shared_.panel};
}

Norm Gpt::norm(const Tensor& scale, const Tensor& bias, Panels normalised, float* deviation) const {
    return {vector(scale), vector(bias), normalised, deviation};
}

Attention Gpt::attention(const Worker& worker, const Kept& kept, int sequence) const {
    const int row = sequence * sizes_.context;
    return {sizes_.context,
            sizes_.width,
            sizes_.heads,
            from_row(kept.joined, row, shared_.panel),
            from_row(kept.attended, row, shared_.panel),
            kept.softmax + 2 * std::int64_t(row) * sizes_.heads,
            worker.attention_scratch};
}

FeedForward Gpt::feed_forward(const Chunk& chunk, int number) const {
    const Block& block = layout_.blocks[std::size_t(number)];
    const Worker& worker = chunk.worker;
    return {chunk.rows,
            sizes_.width,
            sizes_.feed_forward,
            weights(block.wide),
            weights(block.narrow),
            transposed(block.wide),
            transposed(block.narrow),
            vector(block.wide_bias),
            vector(block.narrow_bias),
            worker.result,
            worker.kept[std::size_t(number)].before,
            worker.feed_forward_scratch};
}

const std::uint8_t* Gpt::symbols(const Chunk& chunk, int sequence) const {
    const Batch& batch = chunk.step.batch;
    return static_cast<const std::uint8_t*>(batch.inputs) +
           std::size_t(batch.order[chunk.begin + sequence]) * std::size_t(sizes_.context);
}

void Gpt::forward_layers(const Chunk& chunk) const {
    Worker& worker = chunk.worker;
    for (int i = 0; i < chunk.sequences; ++i)
        kernels_.embed(symbols(chunk, i), sizes_.context, sizes_.width, weights(layout_.table),
                       weights(layout_.positions),
                       from_row(worker.values, i * sizes_.context, shared_.panel));
    for (int number = 0; number < sizes_.blocks; ++number) forward_block(chunk, number);
    const Norm last =
        norm(layout_.norm_scale, layout_.norm_bias, worker.normalised, worker.deviation);
    kernels_.normalise(chunk.rows, sizes_.width, worker.values, &last, worker.result);
}

void Gpt::forward_block(const Chunk& chunk, int number) const {
    const Block& block = layout_.blocks[std::size_t(number)];
    const int rows = chunk.rows, width = sizes_.width;
    Worker& worker = chunk.worker;
    const Kept& kept = worker.kept[std::size_t(number)];

    const Norm first =
        norm(block.norm_1_scale, block.norm_1_bias, kept.normalised_1, kept.deviation_1);
    kernels_.normalise(rows, width, worker.values, &first, worker.result);
    kernels_.multiply(rows, width, 3 * width, worker.result, weights(block.attention),
                      vector(block.attention_bias), Into::replace, kept.joined);
    for (int i = 0; i < chunk.sequences; ++i) {
        const Attention layer = attention(worker, kept, i);
        kernels_.attend(&layer);
    }
    kernels_.multiply(rows, width, width, kept.attended, weights(block.output),
                      vector(block.output_bias), Into::add, worker.values);

    const Norm second =
        norm(block.norm_2_scale, block.norm_2_bias, kept.normalised_2, kept.deviation_2);
    kernels_.normalise(rows, width, worker.values, &second, worker.result);
    const FeedForward layer = feed_forward(chunk, number);
    kernels_.feed_forward(&layer, worker.values);
}

// Scores and loss of all positions; with `backward` also the gradients of the table and of the last
// normalisation's result.
void Gpt::score(const Chunk& chunk, bool backward) const {
    const int width = sizes_.width, vocabulary = sizes_.vocabulary, panel = shared_.panel;
    const Batch& batch = chunk.step.batch;
    Worker& worker = chunk.worker;
    const float scale = 1.0f / (float(batch.count) * float(sizes_.context));
    Into into = chunk.into;
    for (int i = 0; i < chunk.sequences; ++i) {
        const std::uint8_t* targets =
            static_cast<const std::uint8_t*>(batch.targets) +
            std::size_t(batch.order[chunk.begin + i]) * std::size_t(sizes_.context);
        for (int begin = 0; begin < sizes_.context; begin += kScoredRows) {
            const int rows = std::min(kScoredRows, sizes_.context - begin);
            const int row = i * sizes_.context + begin;
            const Panels result = from_row(worker.result, row, panel);
            kernels_.multiply(rows, width, vocabulary, result, transposed(layout_.table), nullptr,
                              Into::replace, worker.scores);
            const Scored scored =
                kernels_.score(rows, vocabulary, worker.scores, targets + begin, scale);
            worker.scored.loss_sum += scored.loss_sum;
            worker.scored.correct += scored.correct;
            if (!backward) continue;
            kernels_.multiply_transposed(rows, vocabulary, width, worker.scores, result, into,
                                         of(layout_.table, worker.gradients), nullptr);
            kernels_.multiply(rows, vocabulary, width, worker.scores, weights(layout_.table), nullptr,
                              Into::replace, from_row(worker.result_gradient, row, panel));
            into = Into::add;
        }
    }
}

void Gpt::backward_layers(const Chunk& chunk) const {
    Worker& worker = chunk.worker;
    const int panel = shared_.panel;
    float* gradients = worker.gradients;
    std::memset(worker.gradient.data, 0,
                std::size_t(worker.gradient.stride) * std::size_t(sizes_.width / panel) * sizeof(float));
    const Norm last =
        norm(layout_.norm_scale, layout_.norm_bias, worker.normalised, worker.deviation);
    kernels_.normalise_backward(chunk.rows, sizes_.width, worker.result_gradient, &last,
                                worker.gradient, gradients + layout_.norm_scale.offset,
                                gradients + layout_.norm_bias.offset);
    for (int number = sizes_.blocks - 1; number >= 0; --number) {
        backward_feed_forward(chunk, number);
        backward_attention(chunk, number);
    }
    for (int i = 0; i < chunk.sequences; ++i)
        kernels_.embed_backward(symbols(chunk, i), sizes_.context, sizes_.width,
                                from_row(worker.gradient, i * sizes_.context, panel),
                                of(layout_.table, gradients), of(layout_.positions, gradients));
}

void Gpt::backward_feed_forward(const Chunk& chunk, int number) const {
    const Block& block = layout_.blocks[std::size_t(number)];
    Worker& worker = chunk.worker;
    const Kept& kept = worker.kept[std::size_t(number)];
    float* gradients = worker.gradients;
    const Norm second =
        norm(block.norm_2_scale, block.norm_2_bias, kept.normalised_2, kept.deviation_2);
    kernels_.normalise_again(chunk.rows, sizes_.width, &second, worker.result);
    const FeedForward layer = feed_forward(chunk, number);
    const FeedForwardGradient parameters{chunk.into, of(block.wide, gradients),
                                         of(block.narrow, gradients),
                                         gradients + block.wide_bias.offset,
                                         gradients + block.narrow_bias.offset};
    kernels_.feed_forward_backward(&layer, worker.gradient, worker.result_gradient, &parameters);
    kernels_.normalise_backward(chunk.rows, sizes_.width, worker.result_gradient, &second,
                                worker.gradient, gradients + block.norm_2_scale.offset,
                                gradients + block.norm_2_bias.offset);
}

void Gpt::backward_attention(const Chunk& chunk, int number) const {
    const Block& block = layout_.blocks[std::size_t(number)];
    const int rows = chunk.rows, width = sizes_.width;
    Worker& worker = chunk.worker;
    const Kept& kept = worker.kept[std::size_t(number)];
    float* gradients = worker.gradients;
    kernels_.multiply_transposed(rows, width, width, kept.attended, worker.gradient, chunk.into,
                                 of(block.output, gradients), gradients + block.output_bias.offset);
    kernels_.multiply(rows, width, width, worker.gradient, transposed(block.output), nullptr,
                      Into::replace, worker.result_gradient);
    for (int i = 0; i < chunk.sequences; ++i) {
        const Attention layer = attention(worker, kept, i);
        const int row = i * sizes_.context;
        kernels_.attend_backward(&layer, from_row(worker.result_gradient, row, shared_.panel),
                                 from_row(worker.joined_gradient, row, shared_.panel));
    }
    const Norm first =
        norm(block.norm_1_scale, block.norm_1_bias, kept.normalised_1, kept.deviation_1);
    kernels_.normalise_again(rows, width, &first, worker.result);
    kernels_.multiply_transposed(rows, width, 3 * width, worker.result, worker.joined_gradient,
                                 chunk.into, of(block.attention, gradients),
                                 gradients + block.attention_bias.offset);
    kernels_.multiply(rows, 3 * width, width, worker.joined_gradient, transposed(block.attention),
                      nullptr, Into::replace, worker.result_gradient);
    kernels_.normalise_backward(rows, width, worker.result_gradient, &first, worker.gradient,
                                gradients + block.norm_1_scale.offset,
                                gradients + block.norm_1_bias.offset);
}

// Gradients that are added to from the beginning; the products' first chunk replaces theirs.
void Gpt::clear_small_gradients(Worker& worker) const {
    const auto clear = [&](const Tensor& tensor) {
        std::memset(worker.gradients + tensor.offset, 0, tensor.count() * sizeof(float));
    };
    for (const Block& block : layout_.blocks)
        for (const Tensor* tensor : {&block.norm_1_scale, &block.norm_1_bias, &block.norm_2_scale,
                                     &block.norm_2_bias})
            clear(*tensor);
    for (const Tensor* tensor : {&layout_.norm_scale, &layout_.norm_bias, &layout_.positions})
        clear(*tensor);
}

template <typename Work>
void Gpt::for_chunks(const Step& step, int thread, Work work) {
    const int parts = this->parts(step);
    if (thread >= parts) return;
    Worker& worker = workers_[std::size_t(thread)];
    worker.scored = {};
    clear_small_gradients(worker);
    const Range mine = share(step.batch.count, thread, parts);
    for (int begin = mine.begin; begin < mine.end; begin += chunk_) {
        const int sequences = std::min(chunk_, mine.end - begin);
        work(Chunk{step, worker, begin, sequences, sequences * sizes_.context,
                   begin == mine.begin ? Into::replace : Into::add});
    }
}

void Gpt::train_step(const Step& step, int thread) {
    for_chunks(step, thread, [&](const Chunk& chunk) {
        forward_layers(chunk);
        score(chunk, true);
        backward_layers(chunk);
    });
    pool_.barrier();
    update(step, thread);
}

void Gpt::forward(const Step& step, int thread) {
    for_chunks(step, thread, [&](const Chunk& chunk) {
        forward_layers(chunk);
        score(chunk, false);
    });
}

// This thread's columns of every array.
void Gpt::update(const Step& step, int thread) {
    const int panel = shared_.panel;
    for (const Tensor& tensor : layout_.tensors) {
        if (tensor.rows > 1) {
            update_matrix(step, thread, tensor);
            continue;
        }
        const Range columns = share(tensor.columns / panel, thread, pool_.size());
        for (int i = columns.begin; i < columns.end; ++i)
            update_some(step, tensor.offset + std::size_t(i) * std::size_t(panel), panel);
    }
}

// Square by square, so that its transposed is stored while it is in L1.
void Gpt::update_matrix(const Step& step, int thread, const Tensor& tensor) {
    const int panel = shared_.panel, square = panel * panel;
    const Range columns = share(tensor.columns / panel, thread, pool_.size());
    for (int i = columns.begin; i < columns.end; ++i)
        for (int row = 0; row < tensor.rows; row += panel) {
            const std::size_t offset =
                tensor.offset + (std::size_t(i) * std::size_t(tensor.rows) + std::size_t(row)) *
                                    std::size_t(panel);
            update_some(step, offset, square);
            if (tensor.transposed >= 0 && !step.parameters.gradient)
                kernels_.transpose_square(step.parameters.value + offset,
                                          transposed(tensor).data +
                                              row / panel * transposed(tensor).stride +
                                              std::int64_t(i) * square);
        }
}

void Gpt::update_some(const Step& step, std::size_t offset, int count) {
    const Parameters& p = step.parameters;
    const int parts = this->parts(step);
    alignas(64) float total[32 * 32];
    float* sum = p.gradient ? p.gradient + offset : total;
    kernels_.sum(gradients_.data(), parts, std::int64_t(offset), count, sum);
    if (!p.gradient)
        shared_.adam(p.value + offset, p.first_moment + offset, p.second_moment + offset, sum, count,
                     &step.adam);
}

BatchResult Gpt::collect(const Step& step) const {
    BatchResult result{0.0, 0};
    for (int part = 0; part < parts(step); ++part) {
        result.loss_sum += workers_[std::size_t(part)].scored.loss_sum;
        result.correct += workers_[std::size_t(part)].scored.correct;
    }
    return result;
}

namespace {

constexpr Sizes kSizes{4, 256, 4, 1024, 128, 256};
constexpr Sizes kLargeSizes{12, 768, 12, 3072, 1024, 50304};

template <const Sizes& sizes>
Offer offer_of(const char* workload, bool bfloat16) {
    return {workload,
            1,
            std::int64_t(Layout(sizes).parameters),
            sizes.context,
            1,
            sizes.context,
            1,
            sizes.vocabulary,
            4096,
            bfloat16,
            [](const Setup& setup) -> std::unique_ptr<Network> {
                return std::make_unique<Gpt>(setup, sizes);
            }};
}

}  // namespace

Offer offer() { return offer_of<kSizes>("gpt-3m", true); }

Offer large_offer() { return offer_of<kLargeSizes>("gpt-124m", false); }

}  // namespace gpt
}  // namespace epochmark
