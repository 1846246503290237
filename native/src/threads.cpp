#include "ace/threads.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <new>
#include <csignal>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ace/interrupt.hpp"

namespace ace {

// All locks there are. Nothing is allocated in a child, whose memory another thread may have been
// about to change.
struct Lock::Registry {
    std::mutex mutex;
    Lock* first = nullptr;

    // Never destroyed: locks may outlive any static object.
    static Registry& only() {
        static Registry* const made = [] {
            auto* registry = new Registry;
            pthread_atfork([] { only().mutex.lock(); }, [] { only().mutex.unlock(); },
                           [] { only().open(); });
            return registry;
        }();
        return *made;
    }

    // In a child, whose only thread holds `mutex`.
    void open() {
        for (Lock* lock = first; lock; lock = lock->after_) {
            if (lock->mutex_.try_lock()) {
                lock->mutex_.unlock();
            } else {
                new (&lock->mutex_) std::mutex;
                lock->orphaned_ = true;
            }
        }
        mutex.unlock();
    }
};

Lock::Lock() {
    Registry& all = Registry::only();
    const std::lock_guard<std::mutex> guard(all.mutex);
    after_ = all.first;
    if (after_) after_->before_ = this;
    all.first = this;
}

Lock::~Lock() {
    Registry& all = Registry::only();
    const std::lock_guard<std::mutex> guard(all.mutex);
    (before_ ? before_->after_ : all.first) = after_;
    if (after_) after_->before_ = before_;
}

// Here, because the engines' files are compiled for processors that this one may not be.
void Lock::lock() { mutex_.lock(); }
void Lock::unlock() { mutex_.unlock(); }
bool Lock::orphaned() {
    const bool was = orphaned_;
    orphaned_ = false;
    return was;
}

namespace {

// Threads started while this is there leave signals to those there were before, so that Ctrl-C
// interrupts the caller. Faults of their own they still report.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
            sigdelset(&all, fault);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
};

}  // namespace

struct Threads::Pool {
    std::mutex lock;
    std::condition_variable start, done;
    std::vector<std::thread> threads;
    Action action = nullptr;
    void* work = nullptr;
    std::exception_ptr failure;
    unsigned long round = 0;
    int count = 0, busy = 0;
    bool end = false;
    pid_t owner = getpid();

    void guarded(Action act, void* it, int t) {
        try {
            act(it, t);
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
            const Action act = action;
            void* const it = work;
            guard.unlock();
            guarded(act, it, t);
            guard.lock();
            if (--busy == 0) done.notify_one();
        }
    }

    // Starts threads up to `wanted`, and returns how many of these there are: where the machine
    // gives no more, the caller does their work itself.
    int grow(int wanted) {
        if (static_cast<int>(threads.size()) >= wanted) return wanted;
        const SignalsBlocked blocked;
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

void Threads::call(int count, Action action, void* work, Watch* watch) {
    if (count == 1) return action(work, 0);
    if (pool_ && pool_->owner != getpid()) pool_.release();
    if (!pool_) pool_ = std::make_unique<Pool>();
    Pool& pool = *pool_;
    const int helpers = pool.grow(count - 1);
    {
        const std::lock_guard<std::mutex> guard(pool.lock);
        pool.action = action;
        pool.work = work;
        pool.count = helpers + 1;
        pool.busy = helpers;
        pool.failure = nullptr;
        pool.round++;
    }
    pool.start.notify_all();
    pool.guarded(action, work, 0);
    for (int t = helpers + 1; t < count; t++) pool.guarded(action, work, t);
    std::unique_lock<std::mutex> guard(pool.lock);
    const auto finished = [&] { return pool.busy == 0; };
    while (watch && !pool.done.wait_for(guard, std::chrono::milliseconds(50), finished)) {
        guard.unlock();
        watch->stop();
        guard.lock();
    }
    pool.done.wait(guard, finished);
    if (pool.failure) std::rethrow_exception(pool.failure);
}

}  // namespace ace
