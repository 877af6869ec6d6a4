/* Parts of rows, UTF-8, and numbers as they are written; rows.h says what they are. */
#include "rows.h"

const unsigned char *line_end(slice rows) {
    return find_byte(rows, '\n');
}

size_t utf8_character(slice text) {
    const unsigned char *at = text.at;
    size_t size;
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0;
    if (at[0] < 0xE0)
        size = 2;
    else if (at[0] < 0xF0)
        size = 3;
    else
        size = 4;
    if (slice_length(text) < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(at[i]))
            return 0;
    }
    if (at[0] == 0xE0 && at[1] < 0xA0)
        return 0; /* overlong */
    if (at[0] == 0xED && at[1] > 0x9F)
        return 0; /* a surrogate */
    if (at[0] == 0xF0 && at[1] < 0x90)
        return 0; /* overlong */
    if (at[0] == 0xF4 && at[1] > 0x8F)
        return 0; /* beyond U+10FFFF */
    return size;
}

int is_utf8(slice text) {
    uint64_t word;
    for (;;) {
        while (slice_length(text) >= sizeof word) { /* ASCII, eight bytes at a time */
            memcpy(&word, text.at, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            text.at += sizeof word;
        }
        if (text.at == text.end)
            return 1;
        size_t size = utf8_character(text);
        if (size == 0)
            return 0;
        text.at += size;
    }
}

size_t utf8_length(slice text) {
    size_t length = 0;
    for (; text.at < text.end; text.at++)
        length += !is_continuation(*text.at);
    return length;
}

/* --- Numbers --------------------------------------------------------------------------------- */

/* A float from 1e-8 to 1 is mantissa / 2^shift. With 17 decimals or fewer, the mantissa times a
 * power of five fits 64 bits, so all of this is exact. */
enum {
    MAX_DIGITS = 9, /* they tell each float from its neighbours */
    MANTISSA_BITS = 23
};

typedef struct {
    uint64_t mantissa;
    int shift;
} fraction;

static const uint64_t POWERS_OF_FIVE[] = {
    1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u, 9765625u, 48828125u,
    244140625u, 1220703125u, 6103515625u, 30517578125u, 152587890625u, 762939453125u};

/* Round a fraction to decimals, half to even: to number / 10^decimals. Return whether the result is
 * nearer to the fraction than to the floats next to it. */
static int round_to(fraction x, int decimals, uint64_t *number) {
    uint64_t power = POWERS_OF_FIVE[decimals];
    uint64_t scaled = x.mantissa * power;
    int shift = x.shift - decimals;
    uint64_t half = (uint64_t)1 << (shift - 1);
    *number = scaled >> shift;
    uint64_t rest = scaled - (*number << shift);
    if (rest > half || (rest == half && *number % 2 == 1))
        ++*number;
    uint64_t rounded = *number << shift;
    if (rounded >= scaled)
        return 2 * (rounded - scaled) < power;
    /* The float below a power of two is half as far away. */
    int is_power_of_two = x.mantissa == (uint64_t)1 << MANTISSA_BITS;
    return (is_power_of_two ? 4 : 2) * (scaled - rounded) < power;
}

/* Write the last `count` digits of a number. */
static unsigned char *put_digits(uint64_t number, int count, unsigned char *out) {
    for (int i = count - 1; i >= 0; i--) {
        out[i] = (unsigned char)('0' + number % 10);
        number /= 10;
    }
    return out + count;
}

/* Write 0.000123, the first digit of the number at decimal `first`. */
static unsigned char *put_decimal(uint64_t number, int digits, int first, unsigned char *out) {
    memcpy(out, "0.", 2);
    return put_digits(number, first + digits - 1, out + 2);
}

/* Write 1.23e-05. */
static unsigned char *put_scientific(uint64_t number, int digits, int first, unsigned char *out) {
    unsigned char *end = put_digits(number, digits, out + 1);
    out[0] = out[1];
    if (digits > 1)
        out[1] = '.';
    else
        end = out + 1;
    memcpy(end, "e-0", 3);
    return put_digits((uint64_t)first, 1, end + 3);
}

size_t write_float(float value, unsigned char *out) {
    uint32_t bits;
    uint64_t number;
    uint64_t shorter;
    int first = 1; /* the decimal of the first digit */
    double scale = 10;
    if (value == 0 || value == 1) {
        memcpy(out, value == 0 ? "0.0" : "1.0", 3);
        return 3;
    }
    if (!(value >= 1e-8f && value < 1))
        return 0;
    while (value * scale < 1) {
        scale *= 10;
        first++;
    }
    memcpy(&bits, &value, sizeof bits);
    fraction x = {(bits & 0x7FFFFF) | 0x800000, 127 + MANTISSA_BITS - (int)(bits >> MANTISSA_BITS)};
    int digits = MAX_DIGITS;
    round_to(x, first + digits - 1, &number);
    while (digits > 1 && round_to(x, first + digits - 2, &shorter)) {
        number = shorter;
        digits--;
    }
    while (number % 10 == 0) {
        number /= 10;
        digits--;
    }
    if (digits == 0) { /* it was rounded up to a power of ten */
        digits = 1;
        first--;
    }
    unsigned char *end = value < 1e-4 ? put_scientific(number, digits, first, out)
                                      : put_decimal(number, digits, first, out);
    return (size_t)(end - out);
}
