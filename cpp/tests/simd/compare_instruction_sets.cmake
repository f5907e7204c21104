# Runs PROGRAM under each instruction set; what it prints must not differ. Those that this machine
# does not have (exit status 77) are left out. EMULATOR may name what runs programs of the target.
set(compared "")
foreach(isa IN ITEMS baseline avx2 avx512)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env TNM_FORCE_ISA=${isa} ${EMULATOR} ${PROGRAM}
                    RESULT_VARIABLE result OUTPUT_VARIABLE output)
    if(result EQUAL 77)
        continue()
    elseif(NOT result EQUAL 0)
        message(FATAL_ERROR "${isa} failed:\n${output}")
    endif()
    if(compared AND NOT output STREQUAL expected)
        file(WRITE ${WORK_DIR}/digests_baseline.txt "${expected}")
        file(WRITE ${WORK_DIR}/digests_${isa}.txt "${output}")
        message(FATAL_ERROR "${isa} and baseline give different masks or prices; compare "
                            "digests_baseline.txt and digests_${isa}.txt in ${WORK_DIR}")
    endif()
    set(expected "${output}")
    list(APPEND compared ${isa})
endforeach()
message(STATUS "the same under ${compared}")
