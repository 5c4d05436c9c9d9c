/* Answers every sample, counts instructions (this machine: nanoseconds), and finds how deep the stack went.

   Compiled with INPUT (the type of an input), OUTPUT (of a logit), INPUTS, OUTPUTS and SAMPLES. One line a sample:
   its index, the count, and the logits; then one line with the bytes of stack. Floats are printed as their bits. */
#include <stdint.h>
#include "platform.h"
#include "student.h"

#define PAINT 0xA5u

static OUTPUT logits[OUTPUTS];

static inline volatile uint8_t *stack_pointer(void) {
    volatile uint8_t *pointer;
#if defined(__arm__) || defined(__aarch64__)
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
#elif defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(pointer));
#elif defined(__x86_64__)
    __asm__ volatile("mov %%rsp, %0" : "=r"(pointer));
#else
    pointer = (volatile uint8_t *)__builtin_frame_address(0) - 256; /* below what the harness itself needs */
#endif
    return pointer;
}

static void print_number(uint32_t value, int negative) {
    char text[12];
    int at = 11;
    text[at] = 0;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (negative) text[--at] = '-';
    platform_print(text + at);
}

static void print_logit(const OUTPUT *logit) {
    if (sizeof(OUTPUT) == 1) {
        int32_t value = *(const int8_t *)logit;
        print_number((uint32_t)(value < 0 ? -value : value), value < 0);
    } else {
        const uint8_t *bytes = (const uint8_t *)logit;
        uint32_t bits = 0;
        for (int i = 3; i >= 0; i--) bits = bits << 8 | bytes[i];
        print_number(bits, 0);
    }
}

void harness(const uint8_t *samples, volatile uint8_t *stack_bottom) {
    volatile uint8_t *top = stack_pointer(), *lowest;
    for (volatile uint8_t *p = stack_bottom; p < top; p++) *p = PAINT;
    wunderkind_predict((const INPUT *)(const void *)samples, logits);
    lowest = stack_bottom;
    while (lowest < top && *lowest == PAINT) lowest++;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const INPUT *sample = (const INPUT *)(const void *)(samples + i * INPUTS * sizeof(INPUT));
        platform_count();
        wunderkind_predict(sample, logits);
        uint32_t counted = platform_counted();
        print_number(i, 0);
        platform_print(" ");
        print_number(counted, 0);
        for (int k = 0; k < OUTPUTS; k++) {
            platform_print(" ");
            print_logit(logits + k);
        }
        platform_print("\n");
    }
    platform_print("stack ");
    print_number((uint32_t)(top - lowest), 0);
    platform_print("\n");
}
