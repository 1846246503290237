// Which thread is told of signals, and whether there was one.
#pragma once
#include <nanobind/nanobind.h>
#include <pthread.h>

#include <atomic>

namespace nb = nanobind;

namespace ace::python {

// The thread that Python runs handlers of signals in; in a forked child it is the one that forked.
inline std::atomic<unsigned long> main_thread{0};

inline void find_main_thread() {
    main_thread = nb::cast<unsigned long>(
        nb::module_::import_("threading").attr("main_thread")().attr("ident"));
    pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
}

// Whether the handler of a signal has raised an exception.
inline bool signalled(void*) {
    const nb::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
}

}  // namespace ace::python
