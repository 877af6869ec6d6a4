/* JSON without white space, as far as the metadata needs it. A value is a slice of the file. */
#ifndef EDGE_LSTM_JSON_H
#define EDGE_LSTM_JSON_H

#include "characters.h"

#define MAX_EXPONENT 1000 /* of a number as it is written; a double's ends before */

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

/* Read digits behind those of the number. Return how many. */
static long json_read_digits(slice *s, double *number) {
    const unsigned char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        *number = *number * 10 + (*s->at - '0');
        s->at++;
    }
    return (long)(s->at - start);
}

/* Read a number. Return whether the value is one. */
static int json_number(slice value, double *number) {
    double mantissa = 0;
    double written_exponent = 0;
    double power = 1;
    long decimals = 0;
    int exponent_is_negative = 0;
    int is_negative = accept_char(&value, '-');
    long digits = json_read_digits(&value, &mantissa);
    if (accept_char(&value, '.'))
        decimals = json_read_digits(&value, &mantissa);
    if (digits + decimals == 0)
        return 0;
    if (accept_char(&value, 'e') || accept_char(&value, 'E')) {
        exponent_is_negative = accept_char(&value, '-');
        if (!exponent_is_negative)
            accept_char(&value, '+');
        json_read_digits(&value, &written_exponent);
    }
    long exponent = written_exponent < MAX_EXPONENT ? (long)written_exponent : MAX_EXPONENT;
    if (exponent_is_negative)
        exponent = -exponent;
    exponent -= decimals;
    long powers = exponent < 0 ? -exponent : exponent;
    for (; powers > 0; powers--)
        power *= 10;
    if (is_negative)
        mantissa = -mantissa;
    /* The division is rounded once: 0.35 is the double that other readers take it for. */
    *number = exponent < 0 ? mantissa / power : mantissa * power;
    return value.at == value.end;
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
