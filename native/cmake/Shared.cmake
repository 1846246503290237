# libace.so: the C interface and nothing else can be seen.
file(STRINGS include/ace/c_api.h version REGEX "define ACE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
list(TRANSFORM version REPLACE ".* " "")
list(JOIN version "." ACE_VERSION)
list(GET version 0 major)

ace_library(ace_shared SHARED PRIVATE)
target_compile_definitions(ace_shared PRIVATE
                           "ACE_API=__attribute__((visibility(\"default\")))")
set_target_properties(ace_shared PROPERTIES OUTPUT_NAME ace SOVERSION ${major} EXPORT_NAME ace)
if(NOT APPLE)
  # Names of the standard library, which hiding does not hide.
  set(names ${CMAKE_CURRENT_SOURCE_DIR}/cmake/names.map)
  target_link_options(ace_shared PRIVATE -Wl,--version-script=${names})
  set_target_properties(ace_shared PROPERTIES LINK_DEPENDS ${names})
endif()
