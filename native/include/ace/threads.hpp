// Threads that wait between calls, so that a call starts none, and the lock around a call. Both
// survive a fork.
#pragma once
#include <memory>
#include <mutex>
#include <type_traits>

namespace ace {

class Watch;

// A mutex that a forked child finds open, though a thread of the parent held it: that thread does
// not exist in the child.
class Lock {
  public:
    Lock();
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    void lock();
    void unlock();
    // Asked by who holds it. True, once in a child: it was held at the fork, so what it guards may
    // be half changed. Whoever is told replaces that without touching it.
    bool orphaned();

  private:
    struct Registry;
    std::mutex mutex_;
    bool orphaned_ = false;
    Lock *before_ = nullptr, *after_ = nullptr;  // of those there are
};

class Threads {
  public:
    Threads();
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    // Runs work(0) ... work(count - 1) at once and waits for all; the first exception is passed
    // on. Survives fork: a child starts threads of its own. While the caller waits for others it
    // asks `watch`, which the work has to look at by itself.
    template <class F>
    void run(int count, F&& work, Watch* watch = nullptr) {
        using Work = std::remove_reference_t<F>;
        call(count, [](void* it, int t) { (*static_cast<Work*>(it))(t); }, &work, watch);
    }

  private:
    // Neither allocates nor copies, unlike std::function.
    using Action = void (*)(void*, int);
    void call(int count, Action action, void* work, Watch* watch);

    struct Pool;
    std::unique_ptr<Pool> pool_;
};

}  // namespace ace
