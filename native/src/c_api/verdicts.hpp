// What became of each structure of a call.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>

#include "failure.hpp"

namespace ace::c_api {

class Verdicts {
  public:
    // Where callers want them, or null: then the first failure is that of the call.
    Verdicts(int64_t structures, int* status, char* messages, size_t message_size)
        : structures_(structures), status_(status), messages_(messages), room_(message_size) {
        if (messages_ && room_ == 0)
            throw Error("message_size: expected the room for a message, got 0");
        for (int64_t s = 0; s < structures; s++) say(s, ACE_OK, "");
    }

    // Throws the error where no one asked for a status.
    void fail(int64_t structure, const Error& error) {
        if (!status_) throw Failed{error, structures_ > 1 ? structure : -1};
        say(structure, static_cast<int>(error.fault), error.what());
        if (failed_++ == 0) first_ = structure;
    }

    void finish() const {
        if (failed_ == 0) return;
        throw Several("structures: " + std::to_string(failed_) + " of " +
                      std::to_string(structures_) + " could not be evaluated, the first is " +
                      std::to_string(first_));
    }

    // The failure of one of several structures, -1 if it is the only one.
    struct Failed {
        Error error;
        int64_t structure;
    };
    struct Several : std::string {
        explicit Several(const std::string& text) : std::string(text) {}
    };

  private:
    void say(int64_t structure, int status, const char* text) {
        if (status_) status_[structure] = status;
        if (messages_) std::snprintf(messages_ + structure * room_, room_, "%s", text);
    }

    const int64_t structures_;
    int* const status_;
    char* const messages_;
    const size_t room_;
    int64_t failed_ = 0, first_ = -1;
};

// As `guarded`, for calls on several structures.
template <class F>
int guarded_structures(F&& action) {
    int code = ACE_OK;
    const int other = guarded([&] {
        try {
            action();
        } catch (const Verdicts::Failed& failed) {
            code = last_failure().set(failed.error);
            if (failed.structure >= 0) last_failure().in_structure(failed.structure);
        } catch (const Verdicts::Several& text) {
            code = last_failure().set(ACE_ERROR_STRUCTURES, text.c_str());
        }
    });
    return other ? other : code;
}

}  // namespace ace::c_api
