/* tiny on a Cortex-M: the model file lies in flash as it is, and answers its golden rows over semihosting.
 *
 * engine/cortex-m/run builds and runs it. MODEL: the file's path; ARENA: bytes of memory for model and worker. */
#include "edge_lstm.h"

#include <string.h>

extern uint32_t data_start, data_end, data_in_flash, bss_start, bss_end, stack_end;
extern const unsigned char model_start[], model_end[];
__asm__(".section .rodata\n.global model_start, model_end\nmodel_start: .incbin \"" MODEL "\"\nmodel_end:\n.byte 0\n.text");

void reset(void);
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_end, (const void *)reset};

#define UNTOUCHED 0xA5A5A5A5u /* the stack as deep as it never gets */
static unsigned char arena[ARENA];

static void semihost(unsigned operation, const void *argument) {
    register unsigned r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(const char *text) { semihost(4, text); } /* SYS_WRITE0 */

static void say_number(uint32_t value, const char *what) {
    char digits[12], *at = digits + 11;
    *at = 0;
    do *--at = (char)('0' + value % 10), value /= 10;
    while (value);
    say(at), say(what);
}

/* Counts down from 2^24 at 25 MHz. Under QEMU's -icount shift=0 an instruction takes a nanosecond: a tick is 40. */
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010;

static void run(void) {
    static const char text[] =
        "I expected little, and yet the plot was clever, the actors were brilliant and the end was a great surprise; "
        "one of the best films I have seen in years, and I would watch it again tonight.";
    const char *error;
    const int32_t *ids;
    float probabilities[16], worst;
    size_t count, rows, wrong, needs, size = (size_t)(model_end - model_start);
    uint32_t *stack = &bss_end, start, taken;
    while ((unsigned char *)stack < (unsigned char *)__builtin_frame_address(0) - 256) *stack++ = UNTOUCHED;
    needs = edge_lstm_needs(model_start, size, NULL, &error);
    edge_lstm *model = edge_lstm_open(model_start, size, NULL, arena, sizeof arena, &error);
    edge_lstm_worker *worker = model ? edge_lstm_worker_start(model, arena + needs, sizeof arena - needs) : NULL;
    say_number(needs, " bytes of model, "), say_number(model ? edge_lstm_worker_needs(model) : 0, " of worker\n");
    if (!worker || edge_lstm_labels(model) > 16) {
        say("error: "), say(error ? error : "the arena is too small, or there are more than 16 labels"), say("\n");
        semihost(0x18, (const void *)0x20024);
    }
    edge_lstm_encode(worker, text, sizeof text - 1, &ids, &count);
    systick[1] = 0xFFFFFF, systick[2] = 0, systick[0] = 5;
    start = systick[2];
    edge_lstm_run(worker, ids, 1, count, probabilities);
    taken = (start - systick[2]) & 0xFFFFFF;
    say_number(taken * 40 / count, " instructions a token\n");
    wrong = edge_lstm_check(worker, &rows, &worst);
    say_number(rows - wrong, " of "), say_number(rows, " golden rows, largest difference ");
    say_number((uint32_t)(worst * 1e9f), "e-9\n");
    for (stack = &bss_end; *stack == UNTOUCHED; stack++) continue;
    say_number((uint32_t)((char *)&bss_end - (char *)&data_start + (char *)&stack_end - (char *)stack), " bytes of RAM\n");
    semihost(0x18, (const void *)(wrong || !rows ? 0x20024 : 0x20026)); /* SYS_EXIT: an error, or all is well */
}

void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit on */
    __asm__ volatile("dsb\nisb");
    memcpy(&data_start, &data_in_flash, (size_t)((char *)&data_end - (char *)&data_start));
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    run();
}
