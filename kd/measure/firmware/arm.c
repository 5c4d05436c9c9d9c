/* A Cortex-M of QEMU's mps2 boards: vectors, start, semihosting, and SysTick as a counter.

   Under -icount shift=0 an instruction lasts a nanosecond, and SysTick, at 25 MHz, ticks once in 40 of them. */
#include "platform.h"

#define INSTRUCTIONS_A_TICK 40u
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define COPROCESSORS REGISTER(0xE000ED88u)
#define RELOAD 0xFFFFFFu
#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18
#define STOPPED 0x20026u
#define FAILED 0x20023u

extern uint32_t data_start, data_end, data_image, bss_start, bss_end, stack_bottom, stack_top;
void start(void);

static void call_host(uint32_t operation, uint32_t argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register uint32_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static volatile uint32_t wraps;

static void tick(void) { wraps++; }

static void fault(void) { call_host(SYS_EXIT, FAILED); }

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, start, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, tick,
};

void platform_print(const char *text) { call_host(SYS_WRITE0, (uint32_t)text); }

void platform_count(void) {
    wraps = 0;
    SYSTICK_VALUE = 0; /* any write clears it; the next tick reloads it */
}

uint32_t platform_counted(void) {
    uint32_t ticks, before;
    do {
        before = wraps;
        ticks = RELOAD - SYSTICK_VALUE;
    } while (before != wraps);
    return (before * (RELOAD + 1) + ticks) * INSTRUCTIONS_A_TICK;
}

void start(void) {
    for (uint32_t *to = &data_start, *from = &data_image; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
#ifdef __ARM_FP
    COPROCESSORS |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    SYSTICK_RELOAD = RELOAD;
    SYSTICK_CONTROL = 7; /* on, with interrupts, at the processor's clock */
    harness((const uint8_t *)SAMPLES_AT, (volatile uint8_t *)&stack_bottom);
    call_host(SYS_EXIT, STOPPED);
    for (;;) {
    }
}
