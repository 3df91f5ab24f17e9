# Every test has one of three tiers as a label: `quick` (unit tests on one rank and the program in forks),
# `default` (and what starts mpirun), `system` (and what takes long or needs much around it). tools/test
# runs them all, or the lower ones. COST: about how many seconds it takes; ctest begins with the longest.

# dwgf_test(LAYER LIBRARY target [TORCH] [MPI] [SHARDS n] [RANKS n...] [MORE_RANKS n... FILTER tests])
# One GoogleTest program from tests/LAYER/*.cpp. It runs on one rank (quick, as SHARDS tests that share the
# work) and on RANKS (default); on MORE_RANKS (system) only the tests that match FILTER, of which the layout
# is the subject. A suite named Serial... has nothing to do with ranks and runs on one. A time limit inside
# mpirun ends every rank; ctest's own is the second line.
function(dwgf_test layer)
  cmake_parse_arguments(arg "TORCH;MPI" "LIBRARY;SHARDS;FILTER" "RANKS;MORE_RANKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${layer}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${layer} ${sources})
  target_link_libraries(test_${layer} PRIVATE ${arg_LIBRARY} dwgf_test_support dwgf_compiler)
  # A third less to compile than with -O2; the pre-compiled header serves both. What a test waits for is the
  # library.
  target_compile_options(test_${layer} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(arg_MPI)
    target_link_libraries(test_${layer} PRIVATE dwgf_mpi dwgf_hdf5)
  endif()
  if(arg_TORCH)
    # Boost only for its definitions: the pre-compiled header is used where they are those of the library.
    target_link_libraries(test_${layer} PRIVATE nlohmann_json::nlohmann_json Boost::program_options)
    target_precompile_headers(test_${layer} REUSE_FROM dwgf)
  endif()

  set(own_folder ${PROJECT_SOURCE_DIR}/tests/support/in_own_folder)
  set(program $<TARGET_FILE:test_${layer}> --gtest_color=no --gtest_brief=1)
  if(arg_SHARDS)
    math(EXPR last "${arg_SHARDS} - 1")
    foreach(shard RANGE ${last})
      add_test(NAME ${layer}.np1.${shard} COMMAND ${own_folder} ${program})
      set_tests_properties(${layer}.np1.${shard} PROPERTIES TIMEOUT 240 LABELS "quick;${layer}" COST 10)
      set_property(TEST ${layer}.np1.${shard} PROPERTY ENVIRONMENT ${DWGF_MPI_ENVIRONMENT}
                                              GTEST_TOTAL_SHARDS=${arg_SHARDS} GTEST_SHARD_INDEX=${shard})
    endforeach()
  else()
    add_test(NAME ${layer}.np1 COMMAND ${own_folder} ${program})
    set_tests_properties(${layer}.np1 PROPERTIES TIMEOUT 240 LABELS "quick;${layer}" COST 3
                                                ENVIRONMENT "${DWGF_MPI_ENVIRONMENT}")
  endif()
  foreach(ranks ${arg_RANKS} ${arg_MORE_RANKS})
    set(filter --gtest_filter=-*Serial*)
    set(tier default)
    if(ranks IN_LIST arg_MORE_RANKS)
      set(filter --gtest_filter=${arg_FILTER})
      set(tier system)
    endif()
    add_test(NAME ${layer}.np${ranks}
             COMMAND ${own_folder} ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} ${program}
                     ${filter})
    set_tests_properties(${layer}.np${ranks} PROPERTIES PROCESSORS 2 TIMEOUT 260 LABELS "${tier};${layer}"
                                                        COST 20 ENVIRONMENT "${DWGF_MPI_ENVIRONMENT}")
  endforeach()
endfunction()

# dwgf_e2e_test(NAME FILTER TIER COST): tests of the program, several to an entry, so that each is short and
# a failure is easy to find. Every one of them is in one entry.
function(dwgf_e2e_test name filter tier cost)
  add_test(NAME e2e.${name} COMMAND test_e2e --gtest_color=no --gtest_brief=1 --gtest_filter=${filter})
  set_tests_properties(e2e.${name} PROPERTIES LABELS "${tier};e2e" COST ${cost} TIMEOUT 600)
endfunction()

# dwgf_script_test(NAME TIER COST COMMAND...): a script of tests/ or tools/; exit code 77 says skipped, with
# the reason.
function(dwgf_script_test name tier cost)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${tier} COST ${cost} TIMEOUT 600 SKIP_RETURN_CODE 77
                                          ENVIRONMENT "${DWGF_MPI_ENVIRONMENT}")
endfunction()

# Open MPI: allow root (containers, CI), more ranks than cores, no binding to a single core, and yield when
# waiting. MPICH minds none of it but the first.
set(DWGF_MPI_ENVIRONMENT
    MPIEXEC_TIMEOUT=240 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
    OMPI_MCA_btl_base_warn_component_unused=0 OMPI_MCA_ess_singleton_isolated=1 OMP_NUM_THREADS=1)
# As the program chooses for itself (src/service/launcher.cpp).
execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE mpiexec_version ERROR_QUIET)
if(mpiexec_version MATCHES "\\(Open MPI\\) 4\\.")
  list(APPEND DWGF_MPI_ENVIRONMENT OMPI_MCA_io=romio321)
endif()
