# Start-up of the FT900: vector table, .data out of program memory, .bss, main.
# At reset the core enters the boot loader in the last word of program memory; that jumps to 0x8c.

.equ IRQ_CONTROL, 0x100e3
.equ BOOT_LOADER, 0x3fffc
.equ SIMULATOR_EXIT, 0x1fffc

.section .crt0, "ax"
.global _start
_start:
        jmp     BOOT_LOADER             # reset
        jmp     BOOT_LOADER             # first run-out of the watchdog: begin anew
        .rept   33
        jmp     unexpected              # interrupts 0-31 and NMI: none is enabled
        .endr

codestart:                              # 0x8c
        jmp     init
.global _exithook
_exithook:                              # 0x90, where a debugger looks
        return

unexpected:
        jmp     BOOT_LOADER

init:
        ldk     $r0,0x80                # all interrupts off: the firmware polls
        sta.b   IRQ_CONTROL,$r0
        ldk.l   $sp,__stack_top

        ldk.l   $r0,__data_load_start
        ldk.l   $r1,__data_load_end
        ldk.l   $r2,__data_start
        jmp     2f
1:      lpmi.l  $r3,$r0,0
        sti.l   $r2,0,$r3
        add.l   $r0,$r0,4
        add.l   $r2,$r2,4
2:      cmp.l   $r0,$r1
        jmpc    b,1b

        ldk.l   $r0,__bss_start
        ldk.l   $r1,__bss_end
        ldk.l   $r3,0
        jmp     4f
3:      sti.l   $r0,0,$r3
        add.l   $r0,$r0,4
4:      cmp.l   $r0,$r1
        jmpc    b,3b

        sub.l   $sp,$sp,24              # room for the caller's argument frame
        call    main
        sta.l   SIMULATOR_EXIT,$r0      # ends a run on the simulator (unit tests); nothing is there on the part
5:      jmp     5b
