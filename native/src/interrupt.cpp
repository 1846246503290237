#include "ace/interrupt.hpp"

namespace ace {
namespace {

constexpr std::chrono::milliseconds pause(100);

}  // namespace

Interrupted::Interrupted() : std::runtime_error("interrupted") {}
Interrupted::~Interrupted() = default;

Watch::Watch(Ask ask, void* context)
    : ask_(ask), context_(context), owner_(std::this_thread::get_id()),
      next_(std::chrono::steady_clock::now() + pause) {}

bool Watch::stop() {
    if (std::this_thread::get_id() == owner_ && std::chrono::steady_clock::now() >= next_) {
        if (ask_(context_)) stopped_.store(true, std::memory_order_relaxed);
        next_ = std::chrono::steady_clock::now() + pause;
    }
    return stopped_.load(std::memory_order_relaxed);
}

void Watch::check() const {
    if (stopped_.load(std::memory_order_relaxed)) throw Interrupted();
}

}  // namespace ace
