// A fixed set of threads that run one function together and meet at barriers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace epochmark {

// Waiting threads look a bounded number of times (some microseconds) and then sleep, so that a
// core taken away by another process costs that core's time and no more.
class Barrier {
  public:
    Barrier(int threads, int spins) : threads_(threads), spins_(spins) {}
    void wait();

  private:
    const int threads_;
    const int spins_;
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> generation_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
};

class ThreadPool {
  public:
    // Throws std::system_error when the threads cannot be started.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return threads_; }
    // Runs task(context, thread) for every thread, the caller being thread 0, and waits for all.
    void run(void (*task)(void* context, int thread), void* context);
    // Called by every thread inside a task.
    void barrier() { barrier_.wait(); }

  private:
    void work(int thread);
    void stop();

    const int threads_;
    Barrier barrier_;
    void (*task_)(void*, int) = nullptr;
    void* context_ = nullptr;
    bool abandoned_ = false;
    std::mutex start_mutex_;
    std::condition_variable start_;
    int started_ = 0;
    std::vector<std::thread> workers_;
};

}  // namespace epochmark
