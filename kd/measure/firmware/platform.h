/* What the harness needs of a machine. */
#ifndef PLATFORM_H
#define PLATFORM_H
#include <stdint.h>

void platform_print(const char *text);
void platform_count(void); /* start to count */
uint32_t platform_counted(void);
void harness(const uint8_t *samples, volatile uint8_t *stack_bottom);

#endif
