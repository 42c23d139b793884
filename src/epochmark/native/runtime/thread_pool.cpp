#include "runtime/thread_pool.h"

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

namespace epochmark {

namespace {

void pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

// Moments of weights that no longer move decay into denormal numbers, which x86 handles a hundred
// times slower; treat them as zero, in these threads and only while a task runs.
class FlushDenormals {
  public:
#if defined(__SSE__)
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before_); }

  private:
    unsigned before_;
#else
    FlushDenormals() {}
#endif
};

}  // namespace

void Barrier::wait() {
    const unsigned generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
        arrived_.store(0, std::memory_order_relaxed);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            generation_.store(generation + 1, std::memory_order_release);
        }
        wake_.notify_all();
        return;
    }
    for (int i = 0; i < spins_; ++i) {
        if (generation_.load(std::memory_order_acquire) != generation) return;
        pause();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != generation; });
}

ThreadPool::ThreadPool(int threads)
    : threads_(threads),
      barrier_(threads, threads <= int(std::thread::hardware_concurrency()) ? 300 : 0) {
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back(&ThreadPool::work, this, i);
    } catch (...) {
        stop();
        throw;
    }
    std::lock_guard<std::mutex> lock(start_mutex_);
    started_ = 1;
    start_.notify_all();
}

ThreadPool::~ThreadPool() {
    task_ = nullptr;
    if (threads_ > 1) barrier_.wait();
    for (std::thread& worker : workers_) worker.join();
}

// Some threads could not be started: the others have not reached the barrier yet.
void ThreadPool::stop() {
    {
        std::lock_guard<std::mutex> lock(start_mutex_);
        abandoned_ = true;
        started_ = 1;
    }
    start_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
}

void ThreadPool::work(int thread) {
    {
        std::unique_lock<std::mutex> lock(start_mutex_);
        start_.wait(lock, [&] { return started_ != 0; });
        if (abandoned_) return;
    }
    while (true) {
        barrier_.wait();
        if (!task_) return;
        {
            FlushDenormals flush;
            task_(context_, thread);
        }
        barrier_.wait();
    }
}

void ThreadPool::run(void (*task)(void*, int), void* context) {
    task_ = task;
    context_ = context;
    barrier_.wait();
    {
        FlushDenormals flush;
        task(context, 0);
    }
    barrier_.wait();
}

}  // namespace epochmark
