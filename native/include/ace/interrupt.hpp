// How a long call ends before its time: its threads ask, between pieces of work, whether to go on.
#pragma once
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace ace {

// A call was stopped: what it was to write is incomplete. What made it may be used again.
struct Interrupted : std::runtime_error {
    Interrupted();
    ~Interrupted() override;
};

class Watch {
  public:
    // Called about every 0.1 s by the thread that made this object, and by no other; true: stop.
    using Ask = bool (*)(void* context);
    Watch(Ask ask, void* context);
    // Whether to stop.
    bool stop();
    // Throws Interrupted if some thread was told to stop.
    void check() const;

  private:
    const Ask ask_;
    void* const context_;
    const std::thread::id owner_;
    std::chrono::steady_clock::time_point next_;  // of that thread alone
    std::atomic<bool> stopped_{false};
};

}  // namespace ace
