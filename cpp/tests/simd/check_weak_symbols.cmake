# Looks through OBJECTS, the kernels of the wider instruction sets, with NM: a weak function outside
# the namespace of its instruction set might be the copy that the linker keeps for everybody.
foreach(object IN LISTS OBJECTS)
    if(NOT object MATCHES "kernels_(avx2|avx512_bf16|avx512)[.]")
        continue()
    endif()
    set(isa ${CMAKE_MATCH_1})
    execute_process(COMMAND ${NM} --demangle ${object} OUTPUT_VARIABLE symbols
                    COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]* W [^\n]*" weak "${symbols}")
    list(FILTER weak EXCLUDE REGEX "tnm::${isa}::")
    if(weak)
        list(JOIN weak "\n" weak)
        message(FATAL_ERROR "${object} defines\n${weak}")
    endif()
    message(STATUS "${object}: none")
endforeach()
