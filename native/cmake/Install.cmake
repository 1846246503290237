# An installation that can be moved: the packages of CMake and pkg-config find the rest from where
# they lie themselves.
include(CMakePackageConfigHelpers)
option(ACE_NAMELINK "Install libace.so as a link to the file with the version in its name" ON)
set(libraries ace)
set(namelink NAMELINK_SKIP)
if(ACE_NAMELINK)
  set(namelink "")
endif()
if(ACE_SHARED)
  list(APPEND libraries ace_shared)
endif()
install(TARGETS ${libraries} EXPORT ace
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ${namelink}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES include/ace/c_api.h include/ace/ace.f90 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ace)
if(NOT ACE_SHARED)
  return()
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ace)
install(EXPORT ace NAMESPACE ace:: FILE aceTargets.cmake DESTINATION ${package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/aceConfigVersion.cmake
                                 VERSION ${ACE_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES cmake/aceConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/aceConfigVersion.cmake
        DESTINATION ${package})

# What is between lib/pkgconfig and the header.
file(RELATIVE_PATH to_include "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/${CMAKE_INSTALL_INCLUDEDIR}")
set(link "-L\${libdir} -lace")
if(NOT ACE_NAMELINK)
  set(link "\${libdir}/${CMAKE_SHARED_LIBRARY_PREFIX}ace${CMAKE_SHARED_LIBRARY_SUFFIX}.${major}")
endif()
configure_file(cmake/ace.pc.in ace.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ace.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
