# What `cmake --install` puts under a prefix: the program, the built-in priors, headers and static libraries with the CMake package
# `dwgf`, the example, a module file and shell completions.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(packaging ${PROJECT_SOURCE_DIR}/tools/packaging)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dwgf)

set_target_properties(dwgf_base PROPERTIES EXPORT_NAME base)
set_target_properties(dwgf_comm PROPERTIES EXPORT_NAME comm)
set_target_properties(dwgf_store PROPERTIES EXPORT_NAME store)
set_target_properties(dwgf_app PROPERTIES EXPORT_NAME app)
# The libraries that were linked, LibTorch above all, are found without LD_LIBRARY_PATH, also one in the source tree.
set_target_properties(dwgf_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
set_target_properties(dwgf_tensor_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON INSTALL_RPATH ${TORCH_INSTALL_PREFIX}/lib)

install(TARGETS dwgf_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS dwgf_tensor_program RUNTIME DESTINATION libexec/dwgf)
install(TARGETS dwgf_base dwgf_comm dwgf_store dwgf_app dwgf EXPORT dwgfTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/dwgf DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY configs/priors ${packaging}/example DESTINATION share/dwgf)
install(FILES LICENSE DESTINATION share/dwgf)

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
foreach(shell_and_file bash:bash-completion/completions/dwgf zsh:zsh/site-functions/_dwgf fish:fish/vendor_completions.d/dwgf.fish)
  string(REPLACE \":\" \";\" shell_and_file \"\${shell_and_file}\")
  list(GET shell_and_file 0 shell)
  list(GET shell_and_file 1 file)
  execute_process(COMMAND \"$<TARGET_FILE:dwgf_program>\" completion \${shell}
                  OUTPUT_VARIABLE completion RESULT_VARIABLE failed ERROR_QUIET)
  if(failed)
    message(STATUS \"No completion for \${shell}: the program does not start here; later: dwgf completion \${shell}\")
  else()
    file(WRITE \"\${share}/\${file}\" \"\${completion}\")
  endif()
endforeach()
")
