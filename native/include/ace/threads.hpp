// Threads that wait between calls, so that a call starts none.
#pragma once
#include <memory>
#include <type_traits>

namespace ace {

class Threads {
  public:
    Threads();
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    // Runs work(0) ... work(count - 1) at once and waits for all; the first exception is passed
    // on. Survives fork: a child starts threads of its own.
    template <class F>
    void run(int count, F&& work) {
        using Work = std::remove_reference_t<F>;
        call(count, [](void* it, int t) { (*static_cast<Work*>(it))(t); }, &work);
    }

  private:
    // Neither allocates nor copies, unlike std::function.
    using Action = void (*)(void*, int);
    void call(int count, Action action, void* work);

    struct Pool;
    std::unique_ptr<Pool> pool_;
};

}  // namespace ace
