/* tiny on a Cortex-M: the model file lies in flash as it is, and answers its golden rows over
 * semihosting.
 *
 * engine/cortex-m/run builds and runs it. MODEL: the file's path. The memory of model and worker
 * lies behind the program's data, and is as large as the engine asks. */
#include "edge_lstm.h"

#include <string.h>

extern uint32_t data_start, data_end, data_in_flash, bss_start, bss_end;
extern uint32_t memory_end, stack_end;
extern const unsigned char model_start[], model_end[];
__asm__(".section .rodata\n"
        ".global model_start, model_end\n"
        "model_start: .incbin \"" MODEL "\"\n"
        "model_end:\n"
        ".byte 0\n"
        ".text");

void reset(void);
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    &stack_end, (const void *)reset};

#define UNTOUCHED 0xA5A5A5A5u /* fills the free RAM, to see how deep the stack gets */
enum { STACK_IN_USE = 256 };  /* bytes below the frame that are not filled */
enum { MAX_LABELS = 16 };
static unsigned char *free_ram; /* what is not given away yet */

/* Give away memory. Return NULL if there is not enough. */
static void *take(size_t size) {
    unsigned char *taken = free_ram;
    if (size > (size_t)((unsigned char *)&memory_end - taken))
        return NULL;
    free_ram += (size + 7) / 8 * 8;
    return taken;
}

/* Operations of semihosting, and reasons to exit. */
enum { SYS_WRITE0 = 4, SYS_EXIT = 0x18 };
enum { RUN_TIME_ERROR = 0x20024, APPLICATION_EXIT = 0x20026 };

static void semihost(unsigned operation, const void *argument) {
    register unsigned r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(const char *text) {
    semihost(SYS_WRITE0, text);
}

static void say_number(uint32_t value, const char *unit) {
    char digits[12];
    char *at = digits + sizeof digits - 1;
    *at = 0;
    do {
        at--;
        *at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(at);
    say(unit);
}

static void leave(int reason) {
    semihost(SYS_EXIT, (const void *)reason);
}

/* The timer SysTick counts down from 2^24 at 25 MHz. Under QEMU's -icount shift=0 an instruction
 * takes a nanosecond, and a tick 40. */
typedef struct {
    uint32_t control;
    uint32_t reload;
    uint32_t current;
} systick_registers;
static volatile systick_registers *const systick = (volatile systick_registers *)0xE000E010;
enum { SYSTICK_MAX = 0xFFFFFF, SYSTICK_ENABLE = 1, SYSTICK_CPU_CLOCK = 4 };
enum { INSTRUCTIONS_PER_TICK = 40 };

static void start_timer(void) {
    systick->reload = SYSTICK_MAX;
    systick->current = 0;
    systick->control = SYSTICK_ENABLE | SYSTICK_CPU_CLOCK;
}

static void fill_ram(void) {
    const unsigned char *frame = __builtin_frame_address(0);
    uint32_t *at = &bss_end;
    while ((const unsigned char *)at < frame - STACK_IN_USE) {
        *at = UNTOUCHED;
        at++;
    }
}

/* Return the bytes of RAM in use: data, memory that was given away, and the deepest stack. */
static uint32_t ram_in_use(void) {
    const uint32_t *at = (const uint32_t *)free_ram;
    while (*at == UNTOUCHED)
        at++;
    ptrdiff_t data = (char *)free_ram - (char *)&data_start;
    ptrdiff_t stack = (char *)&stack_end - (const char *)at;
    return (uint32_t)(data + stack);
}

static void run(void) {
    static const char text[] =
        "I expected little, and yet the plot was clever, the actors were brilliant and the end was "
        "a great surprise; one of the best films I have seen in years, and I would watch it again "
        "tonight.";
    const char *error = NULL;
    edge_lstm *model = NULL;
    edge_lstm_worker *worker = NULL;
    size_t worker_needs = 0;
    fill_ram();
    free_ram = (unsigned char *)&bss_end;

    size_t size = (size_t)(model_end - model_start);
    size_t needs = edge_lstm_needs(model_start, size, NULL, &error);
    void *memory = take(needs);
    if (needs && memory)
        model = edge_lstm_open(model_start, size, NULL, memory, needs, &error);
    if (model) {
        worker_needs = edge_lstm_worker_needs(model);
        memory = take(worker_needs);
        if (memory)
            worker = edge_lstm_worker_start(model, memory, worker_needs);
    }
    say_number(needs, " bytes of model, ");
    say_number(worker_needs, " of worker\n");
    if (!worker || edge_lstm_labels(model) > MAX_LABELS) {
        say("error: ");
        say(error ? error : "the RAM is too small, or there are more than 16 labels");
        say("\n");
        leave(RUN_TIME_ERROR);
    }

    const int32_t *ids;
    size_t count;
    float probabilities[MAX_LABELS];
    edge_lstm_encode(worker, text, sizeof text - 1, &ids, &count);
    start_timer();
    uint32_t start = systick->current;
    edge_lstm_run(worker, ids, 1, count, probabilities);
    uint32_t ticks = (start - systick->current) & SYSTICK_MAX;
    say_number(ticks * INSTRUCTIONS_PER_TICK / count, " instructions a token\n");

    size_t rows;
    float worst;
    size_t wrong = edge_lstm_check(worker, &rows, &worst);
    say_number(rows - wrong, " of ");
    say_number(rows, " golden rows, largest difference ");
    say_number((uint32_t)(worst * 1e9f), "e-9\n");
    say_number(ram_in_use(), " bytes of RAM\n");
    leave(wrong || !rows ? RUN_TIME_ERROR : APPLICATION_EXIT);
}

void reset(void) {
    volatile uint32_t *coprocessor_access = (volatile uint32_t *)0xE000ED88;
    *coprocessor_access |= 0xFu << 20; /* the floating-point unit on */
    __asm__ volatile("dsb\nisb");
    memcpy(&data_start, &data_in_flash, (size_t)((char *)&data_end - (char *)&data_start));
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    run();
}
