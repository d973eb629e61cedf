*** Settings ***
Documentation     Robot Framework on the keywords of Renode: start `mimic robot`, then `robot -v BUILD:FOLDER robot.robot`.
Library           Remote    http://127.0.0.1:${PORT}/    WITH NAME    Mimic
Test Setup        Mimic.Setup
Test Teardown     Mimic.Teardown

*** Variables ***
${PORT}           9999
${BUILD}          /tmp

*** Test Cases ***
Should Say Hello And Echo
    Create Machine            -M virt -bios none -kernel ${BUILD}/hello.elf
    Create Terminal Tester    serial0    timeout=5
    Start Emulation
    ${line}=    Wait For Line On Uart    Hello from .* metal    treatAsRegex=True
    Should Be Equal           ${line}[line]    Hello from bare metal
    Wait For Prompt On Uart   >
    Register Should Be Equal  s1    0x1234
    Memory Should Be Equal    mark    0x1234
    Write Char On Uart        x
    Wait For Next Line On Uart
    Wait For Prompt On Uart   >
    Test If Uart Is Idle      0.2
    Send Key To Uart          0x71
    Wait For Line On Uart     bye

Should Notice What Must Not Come
    Create Machine            -M virt -bios none -kernel ${BUILD}/tick.elf
    Create Terminal Tester    serial0
    Start Emulation
    Wait For Line On Uart     tick
    Should Not Be On Uart     tock    timeout=0.3
    Run Keyword And Expect Error    *"tick" came within 0.5 s    Should Not Be On Uart    tick    timeout=0.5
    Register Failing Uart String    tick
    Run Keyword And Expect Error    *appeared on serial0*    Wait For Line On Uart    tock    timeout=1

Should Start And Pause By The Monitor
    Create Machine            -M virt -bios none -kernel ${BUILD}/tick.elf
    Create Terminal Tester    serial0
    Start Emulation
    ${status}=    Execute Command    info status
    Should Be Equal           ${status}    VM status: running
    Wait For Line On Uart     tick

Should Work On The Other Architecture
    Create Machine            -M virt -cpu cortex-a53 -kernel ${BUILD}/hello-aarch64.elf    arch=aarch64
    Create Terminal Tester    serial0
    Start Emulation
    Wait For Line On Uart     Hello from the other bare metal
    Wait For Prompt On Uart   press a key
    Register Should Be Equal  x19    0x1234
