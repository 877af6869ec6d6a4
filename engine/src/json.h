/* JSON without white space, as far as the metadata needs it. A value is a slice of the file. */
#ifndef EDGE_LSTM_JSON_H
#define EDGE_LSTM_JSON_H

#include "characters.h"

#define MAX_EXPONENT_DIGITS 8 /* of a number that is compared */
#define MAX_POWERS 1000       /* of ten: those of a double end before */

/* Move from a string's first quotation mark to its last. Return whether there is one. */
static int json_skip_string(slice *s) {
    for (s->at++; s->at < s->end; s->at++) {
        if (*s->at == '"')
            return 1;
        if (*s->at == '\\') {
            s->at++;
            if (s->at == s->end)
                return 0;
        }
    }
    return 0;
}

/* Read the value that s begins with. Return 0 if there is none. Brackets are counted, not matched,
 * which needs no stack. */
static int json_read_value(slice *s, slice *value) {
    size_t depth = 0;
    value->at = s->at;
    for (; s->at < s->end; s->at++) {
        unsigned char c = *s->at;
        if (c == '"') {
            if (!json_skip_string(s))
                return 0;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}') {
            if (depth == 0)
                break;
            depth--;
        } else if ((c == ',' || c == ':') && depth == 0) {
            break;
        }
    }
    value->end = s->at;
    return depth == 0 && value->at < value->end;
}

/* Enter the array or object that begins with this bracket: leave its brackets out. Return whether
 * the value is one. */
static int json_enter(slice *value, char bracket) {
    if (!accept_char(value, bracket))
        return 0;
    value->end--;
    return 1;
}

/* Read the next value of an array that was entered, and the comma behind it. */
static int json_next_value(slice *array, slice *value) {
    if (!json_read_value(array, value))
        return 0;
    accept_char(array, ',');
    return 1;
}

/* Read the next name and value of an object that was entered. */
static int json_next_pair(slice *object, slice *name, slice *value) {
    return json_read_value(object, name) && accept_char(object, ':') &&
           json_next_value(object, value);
}

/* Find the value of a key. Return whether the object has it. */
static int json_get(slice object, const char *key, slice *value) {
    slice name;
    if (!json_enter(&object, '{'))
        return 0;
    while (json_next_pair(&object, &name, value)) {
        name.at++; /* the quotation marks */
        name.end--;
        if (name.at <= name.end && slice_equals(name, key))
            return 1;
    }
    return 0;
}

/* Find the value of a key, and enter it. Return whether it is an array or object with this
 * bracket. */
static int json_enter_member(slice object, const char *key, char bracket, slice *value) {
    return json_get(object, key, value) && json_enter(value, bracket);
}

/* Return a string's characters. A value that is not a string has none, and its `at` is NULL. */
static char_reader json_string(slice value) {
    char_reader r = {{NULL, NULL}, 1};
    if (accept_char(&value, '"'))
        r.left = value;
    return r;
}

/* Return whether the value of a key is this JSON. */
static int json_member_is(slice object, const char *key, const char *json) {
    slice value;
    return json_get(object, key, &value) && slice_equals(value, json);
}

/* Find which of the choices, JSON up to NULL, a key's value is. Return whether it is one. */
static int read_choice(slice object, const char *key, const char *const *choices, int *choice) {
    for (int i = 0; choices[i]; i++) {
        if (json_member_is(object, key, choices[i])) {
            *choice = i;
            return 1;
        }
    }
    return 0;
}

static int is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

static size_t skip_digits(slice *s) {
    const unsigned char *start = s->at;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return (size_t)(s->at - start);
}

/* A number as it is written: 0.DIGITS times ten to the power of its magnitude. */
typedef struct {
    int sign;       /* -1, 0 or 1 */
    long magnitude; /* the exponent is at most 8 digits long */
    slice digits;   /* from the first that is not 0; a point is skipped */
} decimal;

/* How a number is spelled. */
enum { NOT_A_NUMBER, ODD_NUMBER, LONG_EXPONENT, JSON_NUMBER };

/* Read a number. Return how it is spelled: as in JSON, or with more zeros or fewer digits around
 * its point. A number with a long exponent cannot be compared. */
static int read_decimal(slice *s, decimal *d) {
    int is_negative = accept_char(s, '-');
    long exponent = 0;
    size_t exponent_digits = 0;
    d->digits.at = s->at;
    size_t whole = skip_digits(s);
    int has_point = accept_char(s, '.');
    size_t decimals = skip_digits(s);
    if (whole + decimals == 0)
        return NOT_A_NUMBER;
    int is_odd = whole == 0 || (whole > 1 && *d->digits.at == '0') || (has_point && decimals == 0);
    d->digits.end = s->at;
    if (accept_char(s, 'e') || accept_char(s, 'E')) {
        int is_below = accept_char(s, '-');
        if (!is_below)
            accept_char(s, '+');
        for (; s->at < s->end && is_digit(*s->at); exponent_digits++, s->at++)
            if (exponent_digits < MAX_EXPONENT_DIGITS)
                exponent = exponent * 10 + (*s->at - '0');
        if (exponent_digits == 0)
            return NOT_A_NUMBER;
        if (is_below)
            exponent = -exponent;
    }
    d->magnitude = exponent + (long)whole;
    for (; d->digits.at < d->digits.end; d->digits.at++) {
        if (*d->digits.at == '0')
            d->magnitude--;
        else if (*d->digits.at != '.')
            break;
    }
    d->sign = d->digits.at < d->digits.end;
    if (is_negative)
        d->sign = -d->sign;
    if (is_odd)
        return ODD_NUMBER;
    return exponent_digits > MAX_EXPONENT_DIGITS ? LONG_EXPONENT : JSON_NUMBER;
}

/* Return the next digit; behind the last, 0. */
static int next_digit(slice *digits) {
    accept_char(digits, '.');
    return digits->at < digits->end ? read_byte(digits) - '0' : 0;
}

/* Read a number. Return whether the value is one. */
static int json_number(slice value, double *number) {
    decimal d;
    double power = 1;
    if (!read_decimal(&value, &d) || value.at < value.end)
        return 0;
    long exponent = d.magnitude;
    for (*number = 0; d.digits.at < d.digits.end; exponent--)
        *number = *number * 10 + next_digit(&d.digits);
    long powers = exponent < 0 ? -exponent : exponent;
    for (int i = 0; i < powers && i < MAX_POWERS; i++)
        power *= 10;
    /* The division is rounded once: 0.35 is the double that other readers take it for. */
    *number = d.sign * (exponent < 0 ? *number / power : *number * power);
    return 1;
}

/* Read a whole number from low to high. Return whether the value is one. */
static int json_whole_number(slice value, int32_t low, int32_t high, int32_t *number) {
    double read;
    if (!json_number(value, &read))
        return 0;
    if (!(read >= low && read <= high) || read != (double)(int32_t)read)
        return 0;
    *number = (int32_t)read;
    return 1;
}

/* Read a key's value, a whole number from low to high. Return whether there is such a one. */
static int json_get_int(slice object, const char *key, int32_t low, int32_t high, int32_t *number) {
    slice value;
    return json_get(object, key, &value) && json_whole_number(value, low, high, number);
}

#endif
