/* This machine: samples from standard input, and a stack of our own that can be painted. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "platform.h"

#define STACK (1 << 20)

static uint8_t *samples;
static uint8_t *stack;

void platform_print(const char *text) { fputs(text, stdout); }

static struct timespec begun;

void platform_count(void) { clock_gettime(CLOCK_MONOTONIC, &begun); }

uint32_t platform_counted(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((now.tv_sec - begun.tv_sec) * 1000000000L + (now.tv_nsec - begun.tv_nsec));
}

static void *run(void *argument) {
    (void)argument;
    harness(samples, stack + 4096);
    return 0;
}

int main(void) {
    size_t size = (size_t)SAMPLES * INPUTS * sizeof(INPUT);
    pthread_attr_t attributes;
    pthread_t thread;
    samples = malloc(size);
    if (!samples || posix_memalign((void **)&stack, 4096, STACK)) return 1;
    if (fread(samples, 1, size, stdin) != size) return 1;
    if (pthread_attr_init(&attributes) || pthread_attr_setstack(&attributes, stack, STACK)) return 1;
    if (pthread_create(&thread, &attributes, run, 0) || pthread_join(thread, 0)) return 1;
    return 0;
}
