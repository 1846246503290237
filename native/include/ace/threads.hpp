// Threads that wait between calls, so that a call starts none.
#pragma once
#include <functional>
#include <memory>

namespace ace {

class Threads {
  public:
    Threads();
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    // Runs work(0) ... work(count - 1) at once and waits for all; the first exception is passed
    // on. Survives fork: a child starts threads of its own.
    void run(int count, const std::function<void(int)>& work);

  private:
    struct Pool;
    std::unique_ptr<Pool> pool_;
};

}  // namespace ace
