// The last failure on each thread, and exceptions turned into it.
#pragma once
#include <cstdint>
#include <exception>
#include <new>
#include <system_error>

#include "ace/c_api.h"
#include "ace/errors.hpp"
#include "ace/interrupt.hpp"

namespace ace::c_api {

// What went wrong last. Of fixed size, because a failure may be that there is no memory.
struct Failure {
    int status = ACE_OK;
    char message[1024] = "", words[1024] = "", named[1100] = "";
    int64_t atoms[2] = {-1, -1}, structure = -1;

    int set(int code, const char* text);
    int set(const Error& error);
    // That it is about this structure of several.
    void in_structure(int64_t which);
};

Failure& last_failure();

// Runs an action; no exception leaves, and the status says which there was.
template <class F>
int guarded(F&& action) {
    try {
        action();
        return ACE_OK;
    } catch (const std::bad_alloc&) {
        return last_failure().set(ACE_ERROR_MEMORY, "not enough memory");
    } catch (const Error& e) {
        return last_failure().set(e);
    } catch (const Interrupted&) {
        return last_failure().set(ACE_ERROR_INTERRUPTED, "interrupted: the caller said stop");
    } catch (const std::system_error& e) {
        return last_failure().set(ACE_ERROR_THREADS, e.what());
    } catch (const std::exception& e) {
        return last_failure().set(ACE_ERROR_INTERNAL, e.what());
    } catch (...) {
        return last_failure().set(ACE_ERROR_INTERNAL, "unknown failure");
    }
}

}  // namespace ace::c_api
