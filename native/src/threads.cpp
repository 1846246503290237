#include "ace/threads.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <vector>

namespace ace {

struct Threads::Pool {
    std::mutex lock;
    std::condition_variable start, done;
    std::vector<std::thread> threads;
    const std::function<void(int)>* work = nullptr;
    std::exception_ptr failure;
    unsigned long round = 0;
    int count = 0, busy = 0;
    bool end = false;
    pid_t owner = getpid();

    void guarded(const std::function<void(int)>& action, int t) {
        try {
            action(t);
        } catch (...) {
            const std::lock_guard<std::mutex> guard(lock);
            if (!failure) failure = std::current_exception();
        }
    }

    void serve(int t) {
        unsigned long seen = 0;
        std::unique_lock<std::mutex> guard(lock);
        while (true) {
            start.wait(guard, [&] { return end || round != seen; });
            if (end) return;
            seen = round;
            if (t >= count) continue;
            const std::function<void(int)>* action = work;
            guard.unlock();
            guarded(*action, t);
            guard.lock();
            if (--busy == 0) done.notify_one();
        }
    }

    // Starts threads up to `wanted`, and returns how many of these there are: where the machine
    // gives no more, the caller does their work itself.
    int grow(int wanted) {
        try {
            while (static_cast<int>(threads.size()) < wanted) {
                const int t = static_cast<int>(threads.size()) + 1;
                threads.emplace_back([this, t] { serve(t); });
            }
        } catch (const std::exception&) {
        }
        return std::min(wanted, static_cast<int>(threads.size()));
    }

    void stop() {
        {
            const std::lock_guard<std::mutex> guard(lock);
            end = true;
        }
        start.notify_all();
        for (std::thread& thread : threads) thread.join();
    }
};

Threads::Threads() = default;

Threads::~Threads() {
    if (!pool_) return;
    if (pool_->owner == getpid())
        pool_->stop();
    else
        pool_.release();  // a forked copy: its threads are the parent's
}

void Threads::run(int count, const std::function<void(int)>& work) {
    if (count == 1) return work(0);
    if (pool_ && pool_->owner != getpid()) pool_.release();
    if (!pool_) pool_ = std::make_unique<Pool>();
    Pool& pool = *pool_;
    const int helpers = pool.grow(count - 1);
    {
        const std::lock_guard<std::mutex> guard(pool.lock);
        pool.work = &work;
        pool.count = helpers + 1;
        pool.busy = helpers;
        pool.failure = nullptr;
        pool.round++;
    }
    pool.start.notify_all();
    pool.guarded(work, 0);
    for (int t = helpers + 1; t < count; t++) pool.guarded(work, t);
    std::unique_lock<std::mutex> guard(pool.lock);
    pool.done.wait(guard, [&] { return pool.busy == 0; });
    if (pool.failure) std::rethrow_exception(pool.failure);
}

}  // namespace ace
