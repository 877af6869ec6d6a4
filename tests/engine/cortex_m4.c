/* What newlib's start lacks on a Cortex-M4: a vector table, and a floating-point unit that is on. */
#include <stdint.h>

void _start(void);

static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\nisb");
    _start();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {(const void *)0x22000000, (const void *)reset};
