# Code for one instruction set, as one object in which nothing but its factories has a name that a
# linker sees. Templates of the standard library are compiled into every file that uses them, under
# one name, and a linker takes any of them: it must not be able to take one that only newer
# processors can run, or one with fast arithmetic, for code that all share. So the files of an
# instruction set are linked into one object first, without the groups by which linkers pick one of
# several, and all its names but `ace::make_…` become local.
#
# macOS has another linker and gets the one instruction set that all its processors have.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT APPLE)
  set(ACE_X86_SETS "avx2;avx512" CACHE STRING "Instruction sets of x86-64 beside the baseline")
else()
  set(ACE_X86_SETS "")
endif()
if(NOT APPLE AND NOT (CMAKE_LINKER AND CMAKE_OBJCOPY))
  message(FATAL_ERROR "ace: the linker and objcopy of binutils are needed, which come with GCC")
endif()
set(ace_objects "")
set(ace_instruction_sets "")

# Compiles src/engine, src/rows and src/charges with these options, and adds the result to ace_objects.
function(ace_instruction_set name)
  add_library(ace_${name} OBJECT src/engine/${name}.cpp src/rows/${name}.cpp
              src/charges/${name}.cpp)
  ace_compiled(ace_${name})
  # Whatever the user's flags say: with link-time optimisation objects hold no code yet.
  set_target_properties(ace_${name} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
  target_compile_options(ace_${name} PRIVATE ${engine} ${ARGN} -fno-lto
                         $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  set_source_files_properties(src/rows/${name}.cpp PROPERTIES COMPILE_OPTIONS "${rows}")
  if(APPLE)
    set(made $<TARGET_OBJECTS:ace_${name}>)
  else()
    set(made ${CMAKE_CURRENT_BINARY_DIR}/${name}${CMAKE_CXX_OUTPUT_EXTENSION})
    add_custom_command(
      OUTPUT ${made}
      COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${made}.joined
              $<TARGET_OBJECTS:ace_${name}>
      COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=_ZN3ace[0-9]make_*
              --keep-global-symbol=_ZN3ace[0-9][0-9]make_* ${made}.joined ${made}
      DEPENDS ace_${name} $<TARGET_OBJECTS:ace_${name}>
      COMMAND_EXPAND_LISTS VERBATIM)
    set_source_files_properties(${made} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    add_custom_target(ace_${name}_object DEPENDS ${made})  # once, for both libraries
    set(ace_instruction_sets ${ace_instruction_sets} ${name} PARENT_SCOPE)
  endif()
  set(ace_objects ${ace_objects} ${made} PARENT_SCOPE)
endfunction()
