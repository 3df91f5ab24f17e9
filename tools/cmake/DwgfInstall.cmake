# What `cmake --install` puts under a prefix: the program, the built-in priors, headers and static libraries with the CMake package
# `dwgf`, the example, jobs and batch scripts to begin with, documentation, the manual page, a module file and bash completion.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(packaging ${PROJECT_SOURCE_DIR}/tools/packaging)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dwgf)

set_target_properties(dwgf_base PROPERTIES EXPORT_NAME base)
set_target_properties(dwgf_comm PROPERTIES EXPORT_NAME comm)
set_target_properties(dwgf_store PROPERTIES EXPORT_NAME store)
set_target_properties(dwgf_app PROPERTIES EXPORT_NAME app)
# The libraries that were linked, LibTorch above all, are found without LD_LIBRARY_PATH.
set_target_properties(dwgf_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
set_target_properties(dwgf_tensor_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON
                      INSTALL_RPATH "$ORIGIN/../../${CMAKE_INSTALL_LIBDIR}/dwgf;${TORCH_INSTALL_PREFIX}/lib")
# One that tools/setup put into the source tree goes along, so that the copy outlives the tree.
cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${TORCH_INSTALL_PREFIX}" NORMALIZE torch_is_in_tree)
if(torch_is_in_tree AND NOT EXISTS ${TORCH_INSTALL_PREFIX}/lib/libtorch_cuda.so)
  foreach(name torch torch_cpu c10 gomp)
    file(GLOB torch_libraries ${TORCH_INSTALL_PREFIX}/lib/lib${name}.so*)
    install(FILES ${torch_libraries} DESTINATION ${CMAKE_INSTALL_LIBDIR}/dwgf)
  endforeach()
endif()

install(TARGETS dwgf_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS dwgf_tensor_program RUNTIME DESTINATION libexec/dwgf)
install(TARGETS dwgf_base dwgf_comm dwgf_store dwgf_app dwgf EXPORT dwgfTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/dwgf DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY configs/priors ${packaging}/example DESTINATION share/dwgf)
install(FILES LICENSE DESTINATION share/dwgf)
install(DIRECTORY jobs slurm DESTINATION share/dwgf USE_SOURCE_PERMISSIONS)
# As it stands in the tree, so that its links hold.
file(GLOB_RECURSE pages CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} *.md *.svg)
list(FILTER pages INCLUDE REGEX "^(README.md|(configs|jobs|slurm|src|tools)/)")
file(GLOB pictures CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} jobs/*.png tools/recipes/*.py)
foreach(page LICENSE tools/packaging/CITATION.cff ${pages} ${pictures})
  get_filename_component(folder ${page} DIRECTORY)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()

install(EXPORT dwgfTargets NAMESPACE dwgf:: DESTINATION ${package_folder})
configure_package_config_file(${packaging}/dwgfConfig.cmake.in ${PROJECT_BINARY_DIR}/dwgfConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dwgfConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dwgfConfig.cmake ${PROJECT_BINARY_DIR}/dwgfConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/DwgfDependencies.cmake DESTINATION ${package_folder})

# The prefix is known for certain only when it is installed to.
install(CODE "
set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
configure_file(\"${packaging}/modulefile.in\" \"\${share}/modulefiles/dwgf/${PROJECT_VERSION}\" @ONLY)
execute_process(COMMAND \"$<TARGET_FILE:dwgf_program>\" --manual OUTPUT_VARIABLE manual RESULT_VARIABLE failed ERROR_QUIET)
if(NOT failed)
  file(WRITE \"\${share}/man/man1/dwgf.1\" \"\${manual}\")
endif()
execute_process(COMMAND \"$<TARGET_FILE:dwgf_program>\" completion bash
                OUTPUT_VARIABLE completion RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  message(STATUS \"No completion: the program does not start here; later: dwgf completion bash\")
else()
  file(WRITE \"\${share}/bash-completion/completions/dwgf\" \"\${completion}\")
endif()
")
