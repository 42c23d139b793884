// Where a step of gpt-3m spends its time, kernel by kernel, against the machine's multiply-add peak.
//
//   cmake -S src/epochmark/native -B build/native
//   cmake --build build/native --target native_gpt
//   build/native/native_gpt [avx512|avx2|portable|avx512_bf16] [STEPS]
//
// Whole steps of 32 sequences on one thread. Each kernel's call is timed where the step makes it, so
// that caches are as they are in training, and a short stretch of the multiply-add loop follows each
// call: a kernel's percentage is of the peak in the same moments, on a processor whose speed varies.
// Times are processor time of this thread. FLOP are those that workloads count: no softmax, no GELU, of
// attention the pairs that its mask leaves. A last part runs whole steps and the loop in turns.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernel_times.h"
#include "networks/gpt/network.h"

namespace {

using namespace epochmark;
using gpt::Panels;
using gpt::Table;

constexpr int kBatch = 32, kContext = 128, kSymbols = 256;
constexpr std::int64_t kPeakRounds = 5000;  // 0.2 ms: a reading of the clock is nothing beside it

struct Line {
    const char* name;
    double flop = 0, seconds = 0, peak_flop = 0, peak_seconds = 0;
    double share() const { return flop / seconds / (peak_flop / peak_seconds); }
};

Line lines[] = {{"products, forward and gradients of inputs"}, {"products, gradients of weights"},
                {"embedding"}, {"embedding backward"}, {"normalisation"},
                {"normalisation, results again"}, {"normalisation backward"}, {"attention"},
                {"attention backward"}, {"feed-forward with GELU"},
                {"feed-forward backward"}, {"softmax and loss"}};
enum { kMultiply, kTransposed, kEmbed, kEmbedBack, kNorm, kNormAgain, kNormBack, kAttend,
       kAttendBack, kFeed, kFeedBack, kScore };

const Kernels* real;

template <typename Work>
void timed(int which, double flop, Work work) {
    Line& line = lines[which];
    const double start = processor_seconds();
    work();
    const double end = processor_seconds();
    line.peak_flop += real->multiply_add_peak(kPeakRounds);
    line.peak_seconds += processor_seconds() - end;
    line.seconds += end - start;
    line.flop += flop;
}

double pairs(const gpt::Attention& layer) {
    return 0.5 * layer.context * (layer.context + 1) * layer.width;
}

// The real table with a clock around each call; what updates weights is too short for one.
Table timed_table() {
    Table table = *real->gpt;
    table.multiply = [](int rows, int depth, int columns, Panels a, Panels b, const float* bias,
                        gpt::Into into, Panels c) {
        timed(kMultiply, 2.0 * rows * depth * columns,
              [&] { real->gpt->multiply(rows, depth, columns, a, b, bias, into, c); });
    };
    table.multiply_transposed = [](int rows, int inputs, int outputs, Panels a, Panels b,
                                   gpt::Into into, Panels c, float* sums) {
        timed(kTransposed, 2.0 * rows * inputs * outputs,
              [&] { real->gpt->multiply_transposed(rows, inputs, outputs, a, b, into, c, sums); });
    };
    table.embed = [](const std::uint8_t* symbols, int context, int width, Panels a, Panels b,
                     Panels c) {
        timed(kEmbed, 0, [&] { real->gpt->embed(symbols, context, width, a, b, c); });
    };
    table.embed_backward = [](const std::uint8_t* symbols, int context, int width, Panels a, Panels b,
                              Panels c) {
        timed(kEmbedBack, 0, [&] { real->gpt->embed_backward(symbols, context, width, a, b, c); });
    };
    table.normalise = [](int rows, int width, Panels a, const gpt::Norm* norm, Panels b) {
        timed(kNorm, 0, [&] { real->gpt->normalise(rows, width, a, norm, b); });
    };
    table.normalise_again = [](int rows, int width, const gpt::Norm* norm, Panels b) {
        timed(kNormAgain, 0, [&] { real->gpt->normalise_again(rows, width, norm, b); });
    };
    table.normalise_backward = [](int rows, int width, Panels a, const gpt::Norm* norm, Panels b,
                                  float* c, float* d) {
        timed(kNormBack, 0, [&] { real->gpt->normalise_backward(rows, width, a, norm, b, c, d); });
    };
    table.attend = [](const gpt::Attention* layer) {
        timed(kAttend, 4 * pairs(*layer), [&] { real->gpt->attend(layer); });
    };
    table.attend_backward = [](const gpt::Attention* layer, Panels a, Panels b) {
        timed(kAttendBack, 8 * pairs(*layer), [&] { real->gpt->attend_backward(layer, a, b); });
    };
    table.feed_forward = [](const gpt::FeedForward* layer, Panels a) {
        timed(kFeed, 4.0 * layer->rows * layer->width * layer->hidden,
              [&] { real->gpt->feed_forward(layer, a); });
    };
    table.feed_forward_backward = [](const gpt::FeedForward* layer, Panels a, Panels b,
                                     const gpt::FeedForwardGradient* gradient) {
        timed(kFeedBack, 8.0 * layer->rows * layer->width * layer->hidden,
              [&] { real->gpt->feed_forward_backward(layer, a, b, gradient); });
    };
    table.score = [](int rows, int vocabulary, Panels a, const std::uint8_t* targets, float scale) {
        gpt::Scored result{};
        timed(kScore, 0, [&] { result = real->gpt->score(rows, vocabulary, a, targets, scale); });
        return result;
    };
    return table;
}

struct Data {
    std::vector<std::uint8_t> inputs, targets;
    std::vector<std::uint32_t> order;
    std::vector<float> parameters;
    Batch batch() const { return {inputs.data(), targets.data(), order.data(), kBatch}; }
};

Data made_up_data(std::int64_t parameters) {
    Data data;
    std::uint32_t random = 1;
    const auto next = [&] { return (random = random * 1664525u + 1013904223u) >> 8; };
    for (int i = 0; i < kBatch * kContext; ++i) {
        data.inputs.push_back(std::uint8_t(next() % kSymbols));
        data.targets.push_back(std::uint8_t(next() % kSymbols));
    }
    for (int i = 0; i < kBatch; ++i) data.order.push_back(std::uint32_t(i));
    for (std::int64_t i = 0; i < parameters; ++i)
        data.parameters.push_back((float(next()) / (1 << 24) - 0.5f) * 0.07f);
    return data;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    real = chosen_kernels(argc > 1 ? argv[1] : nullptr);
    if (!real) return 2;
    const int steps = argc > 2 ? std::atoi(argv[2]) : 8;
    const Offer offer = gpt::offer();
    const Data data = made_up_data(offer.parameters);
    const Table table = timed_table();
    Kernels kernels = *real;
    kernels.gpt = &table;
    const AdamConstants adam{1e-4, 0.9, 0.99, 1e-7};

    double whole = 0, flop = 0;
    {
        const std::unique_ptr<Network> network = offer.make({kernels, 1, kBatch, adam});
        network->set_parameters(data.parameters.data());
        network->train(data.batch());
        for (Line& line : lines) line = {line.name};
        const double start = processor_seconds();
        for (int step = 0; step < steps; ++step) network->train(data.batch());
        whole = processor_seconds() - start;
    }
    std::printf("%s, one thread, %d sequences of %d\n", real->name, kBatch, kContext);
    double rest = whole, peak_flop = 0, peak_seconds = 0;
    for (const Line& line : lines) {
        rest -= line.seconds + line.peak_seconds;
        whole -= line.peak_seconds;
        flop += line.flop;
        peak_flop += line.peak_flop;
        peak_seconds += line.peak_seconds;
    }
    for (const Line& line : lines) {
        std::printf("%-44s %8.2f ms %5.1f %%", line.name, line.seconds / steps * 1e3,
                    100 * line.seconds / whole);
        if (line.flop > 0)
            std::printf("  %6.2f GFLOP  %5.1f %% of peak", line.flop / steps * 1e-9,
                        100 * line.share());
        std::printf("\n");
    }
    std::printf("%-44s %8.2f ms %5.1f %%\n", "Adam, transposed weights, and the rest",
                rest / steps * 1e3, 100 * rest / whole);
    std::printf("%-44s %8.2f ms          %6.2f GFLOP  %5.1f %% of peak (%.0f GFLOP/s)\n", "sum",
                whole / steps * 1e3, flop / steps * 1e-9,
                100 * flop / whole / (peak_flop / peak_seconds), peak_flop / peak_seconds * 1e-9);

    const std::unique_ptr<Network> network = offer.make({*real, 1, kBatch, adam});
    network->set_parameters(data.parameters.data());
    network->train(data.batch());
    std::vector<double> shares, times;
    for (int step = 0; step < steps; ++step) {
        double at_peak = 0, taken_at_peak = 0;
        const auto peak = [&] {
            const double start = processor_seconds();
            at_peak += real->multiply_add_peak(20 * kPeakRounds);
            taken_at_peak += processor_seconds() - start;
        };
        peak();
        const double start = processor_seconds();
        network->train(data.batch());
        const double taken = processor_seconds() - start;
        peak();
        times.push_back(taken);
        shares.push_back(flop / steps / taken / (at_peak / taken_at_peak));
    }
    std::printf("whole steps: %.1f ms (median), %.1f %% of peak (median of %d; best %.1f %%)\n",
                median(times) * 1e3, 100 * median(shares), steps,
                100 * *std::max_element(shares.begin(), shares.end()));
    return 0;
}
