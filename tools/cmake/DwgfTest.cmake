# dwgf_test(LAYER LIBRARY target [TORCH] [MPI] RANKS n... [MANY_RANKS n FILTER tests] [TIMEOUT seconds])
# One GoogleTest program from tests/LAYER/*.cpp, registered with ctest once for each number of ranks. A time limit
# inside mpirun ends every rank; ctest's own limit is the second line. On MANY_RANKS only the tests that match FILTER are run: start-up alone
# takes long there.
function(dwgf_test layer)
  cmake_parse_arguments(arg "TORCH;MPI" "LIBRARY;TIMEOUT;MANY_RANKS;FILTER" "RANKS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 240)
  endif()
  math(EXPR outer_limit "${arg_TIMEOUT} + 20")
  file(GLOB sources CONFIGURE_DEPENDS ${layer}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${layer} ${sources})
  target_link_libraries(test_${layer} PRIVATE ${arg_LIBRARY} dwgf_test_support dwgf_compiler)
  # A third less to compile than with -O2; the pre-compiled header serves both. What a test waits for is the library.
  target_compile_options(test_${layer} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(arg_MPI)
    target_link_libraries(test_${layer} PRIVATE dwgf_mpi dwgf_hdf5)
  endif()
  if(arg_TORCH)
    # Boost only for its definitions: the pre-compiled header is used where they are those of the library.
    target_link_libraries(test_${layer} PRIVATE nlohmann_json::nlohmann_json Boost::program_options)
    target_precompile_headers(test_${layer} REUSE_FROM dwgf)
  endif()
  foreach(ranks ${arg_RANKS} ${arg_MANY_RANKS})
    set(name ${layer}.np${ranks})
    set(filter)
    if(arg_FILTER AND ranks EQUAL arg_MANY_RANKS)
      set(filter --gtest_filter=${arg_FILTER})
    endif()
    add_test(NAME ${name}
             COMMAND ${PROJECT_SOURCE_DIR}/tests/support/in_own_folder ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}
                     ${ranks} --timeout ${arg_TIMEOUT} $<TARGET_FILE:test_${layer}> --gtest_color=no --gtest_brief=1 ${filter})
    set_tests_properties(${name} PROPERTIES PROCESSORS ${ranks} TIMEOUT ${outer_limit} LABELS "np${ranks};${layer}"
                                            ENVIRONMENT "${DWGF_MPI_ENVIRONMENT}")
  endforeach()
endfunction()

# Open MPI: allow root (containers, CI), more ranks than cores, no binding to a single core, and yield when waiting.
set(DWGF_MPI_ENVIRONMENT
    "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_hwloc_base_binding_policy=none;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_btl_base_warn_component_unused=0;OMPI_MCA_io=romio321;OMP_NUM_THREADS=1"
)
