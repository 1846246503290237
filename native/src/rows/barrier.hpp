// Where the threads of a call wait for each other. Included by rows/engine.hpp.
#pragma once

// Lets all threads of a call through once all have come.
class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait() {
        if (threads_ == 1) return;
        std::unique_lock<std::mutex> lock(mutex_);
        const int round = round_;
        if (++waiting_ == threads_) {
            waiting_ = 0;
            round_++;
            ready_.notify_all();
        } else {
            ready_.wait(lock, [&] { return round_ != round; });
        }
    }

  private:
    const int threads_;
    int waiting_ = 0, round_ = 0;
    std::mutex mutex_;
    std::condition_variable ready_;
};
