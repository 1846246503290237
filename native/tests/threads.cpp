// Threads that share a call: signals, threads that cannot be started, children.
#include "ace/threads.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "cases.hpp"

namespace ace::test {
namespace {

void every_part_is_done_once() {
    Threads pool;
    for (const int count : {1, 2, 7, 64, 3}) {
        std::vector<std::atomic<int>> done(count);
        for (int again = 0; again < 50; again++) pool.run(count, [&](int t) { done[t]++; });
        for (const auto& one : done) demand(one == 50, "a part was left out or done twice");
    }
}

void the_first_error_reaches_the_caller() {
    Threads pool;
    for (int again = 0; again < 20; again++)
        demand_error(
            [&] {
                pool.run(3, [&](int t) {
                    if (t == again % 3) throw Error("part # fails", t);
                });
            },
            "fails");
    std::atomic<int> done{0};
    pool.run(3, [&](int) { done++; });
    demand(done == 3, "threads do not work after an error");
}

volatile std::sig_atomic_t interrupted = 0;

// While the caller does not take a signal nobody does.
void signals_are_left_to_the_caller() {
    struct sigaction action = {}, before;
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, &before);
    Threads pool;
    pool.run(4, [](int) {});
    sigset_t one, old;
    sigemptyset(&one);
    sigaddset(&one, SIGINT);
    pthread_sigmask(SIG_BLOCK, &one, &old);
    kill(getpid(), SIGINT);
    pool.run(4, [](int) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); });
    const bool taken = interrupted != 0;
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    const bool received = interrupted != 0;
    sigaction(SIGINT, &before, nullptr);
    demand(!taken, "a thread took the signal");
    demand(received, "the caller did not get the signal");
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    demand(!sigismember(&now, SIGINT) && !sigismember(&now, SIGTERM), "signals stay blocked");
}

// The exit status of `body` in a child, which is ended after ten seconds.
int in_a_child(const std::function<bool()>& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

bool all_parts(Threads& pool, int count) {
    std::atomic<int> done{0};
    pool.run(count, [&](int) { done++; });
    return done == count;
}

// The limit is not for the administrator, who becomes another user here.
void without_new_threads_the_caller_does_all() {
    const int status = in_a_child([] {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534))) return false;
        const rlimit none = {0, 0};
        if (setrlimit(RLIMIT_NPROC, &none)) return false;
        bool refused = false;
        try {
            std::thread([] {}).join();
        } catch (const std::exception&) {
            refused = true;
        }
        Threads pool;
        return refused && all_parts(pool, 8) && all_parts(pool, 8);
    });
    demand(status == 0, "status " + std::to_string(status));
}

// Whatever a child finds of its parent's threads, it starts some of its own.
void a_child_has_threads_of_its_own() {
    Threads pool;
    pool.run(3, [](int) {});
    std::atomic<bool> ended{false};
    std::thread busy([&] {
        while (!ended) pool.run(3, [](int) {});
    });
    int bad = 0;
    for (int k = 0; k < 20 && !bad; k++)
        bad = in_a_child([&] {
            Threads fresh;
            return all_parts(fresh, 3);
        });
    ended = true;
    busy.join();
    demand(bad == 0, "a child of a busy parent ends with status " + std::to_string(bad));
    bad = in_a_child([&] { return all_parts(pool, 3) && all_parts(pool, 5); });
    demand(bad == 0, "the pool of a quiet parent ends a child with " + std::to_string(bad));
    demand(all_parts(pool, 3), "the parent's own threads are gone");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    std::vector<Case> cases{
        {"every part is done once", every_part_is_done_once},
        {"the first error reaches the caller", the_first_error_reaches_the_caller},
        {"signals are left to the caller", signals_are_left_to_the_caller},
        {"without new threads the caller does all", without_new_threads_the_caller_does_all}};
#if !defined(__SANITIZE_THREAD__)  // which ends a child of several threads that starts some
    cases.push_back({"a child has threads of its own", a_child_has_threads_of_its_own});
#endif
    return run(cases);
}
