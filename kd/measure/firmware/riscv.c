/* A 32-bit RISC-V of QEMU's virt board: start, its serial port, and the counter of instructions. */
#include "platform.h"

#define SERIAL (*(volatile uint8_t *)0x10000000u)
#define POWER (*(volatile uint32_t *)0x100000u)
#define PASS 0x5555u
#define FAIL 0x13333u

extern uint32_t data_start, data_end, data_image, bss_start, bss_end, stack_bottom;

__asm__(
    ".section .vectors, \"ax\"\n"
    ".global entry\n"
    "entry:\n"
    "  la sp, stack_top\n"
    "  la t0, fault\n"
    "  .option push\n"
    "  .option arch, +zicsr\n"
    "  csrw mtvec, t0\n"
    "  .option pop\n"
    "  j start\n"
    ".text\n");

void platform_print(const char *text) {
    while (*text) SERIAL = (uint8_t)*text++;
}

static uint32_t retired(void) {
    uint32_t count;
    __asm__ volatile(".option push\n .option arch, +zicsr\n csrr %0, minstret\n .option pop" : "=r"(count));
    return count;
}

static uint32_t first;

void platform_count(void) { first = retired(); }

uint32_t platform_counted(void) { return retired() - first; }

__attribute__((aligned(4), used)) void fault(void) {
    POWER = FAIL;
    for (;;) {
    }
}

__attribute__((used)) void start(void) {
    for (uint32_t *to = &data_start, *from = &data_image; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    harness((const uint8_t *)SAMPLES_AT, (volatile uint8_t *)&stack_bottom);
    POWER = PASS;
    for (;;) {
    }
}
