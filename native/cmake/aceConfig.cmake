# find_package(ace 1.1) gives ace::ace, the shared library, and ace::ace_static, the archive, which
# needs the language CXX to be linked.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/aceTargets.cmake)
