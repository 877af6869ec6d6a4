/* Runs the model files of edge-lstm; edge_lstm.h says how, docs/file-format.md what the bytes mean.
 *
 * From top to bottom: bytes and JSON, SHA-256, text, the model file, memory, text → ids, arithmetic, the calls of
 * edge_lstm.h, and the kernels: the steps of an LSTM, written once, compiled once for each instruction set. */
#ifndef KERNEL /* the file includes itself for each kernel; this part is compiled once */
#include "edge_lstm.h"

#include <float.h>
#include <string.h>

/* Where rounding happens is part of the answer. */
#if defined __FAST_MATH__ || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "compile without -ffast-math, and for SSE rather than x87 (-msse2 -mfpmath=sse)"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__ && !defined __STRICT_ANSI__ /* -std=c99 does so by itself */
#pragma GCC optimize("-ffp-contract=off")
#elif defined _MSC_VER
#pragma fp_contract(off)
#endif

#ifndef EDGE_LSTM_TEXTS
#define EDGE_LSTM_TEXTS 4 /* that predict_many runs side by side: 1 where memory is scarce */
#endif

/* --- Bytes: a slice of the file, and protocol buffer messages in it ------------------------------------------ */

typedef struct {
    const unsigned char *at, *end;
} slice;

static size_t length_of(slice s) { return (size_t)(s.end - s.at); }

static int same(slice s, const char *text) { return length_of(s) == strlen(text) && !memcmp(s.at, text, strlen(text)); }

static int varint(slice *s, uint64_t *value) {
    unsigned shift = 0;
    *value = 0;
    while (s->at < s->end && shift < 64) {
        unsigned char byte = *s->at++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
        shift += 7;
    }
    return 0;
}

typedef struct {
    unsigned number;
    int is_bytes;
    uint64_t value;
    slice bytes;
} field;

/* The message's next field: 1, or 0 at its end, or -1 where it is no message. */
static int next_field(slice *message, field *f) {
    uint64_t key, size;
    if (message->at == message->end) return 0;
    if (!varint(message, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return -1;
    f->number = (unsigned)(key >> 3);
    f->is_bytes = (key & 7) != 0, f->value = 0;
    f->bytes.at = f->bytes.end = message->at;
    switch (key & 7) {
    case 0: return varint(message, &f->value) ? 1 : -1;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2:
        if (!varint(message, &size)) return -1;
        break;
    default: return -1;
    }
    if (size > length_of(*message)) return -1;
    f->bytes.at = message->at;
    f->bytes.end = message->at += size;
    return 1;
}

/* --- Characters: UTF-8, or a JSON string's content ------------------------------------------------------------ */

typedef struct {
    slice left;
    int json; /* 1: backslashes are escapes, and a quotation mark ends it */
} reader;

#define END_OF_TEXT 0xFFFFFFFFu
#define REPLACEMENT 0xFFFDu

/* What is no UTF-8 is one U+FFFD for each part that could not be continued, as Python and browsers have it. */
static uint32_t utf8(slice *s) {
    uint32_t c = *s->at++, low = 0x80, high = 0xBF;
    int more;
    if (c < 0x80) return c;
    if (c >= 0xC2 && c <= 0xDF) more = 1, c &= 0x1F;
    else if ((c & 0xF0) == 0xE0) {
        more = 2;
        if (c == 0xE0) low = 0xA0;
        if (c == 0xED) high = 0x9F;
        c &= 0x0F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        more = 3;
        if (c == 0xF0) low = 0x90;
        if (c == 0xF4) high = 0x8F;
        c &= 0x07;
    } else return REPLACEMENT;
    for (; more; more--) {
        if (s->at == s->end || *s->at < low || *s->at > high) return REPLACEMENT;
        c = c << 6 | (*s->at++ & 0x3F);
        low = 0x80, high = 0xBF;
    }
    return c;
}

static int hex4(slice *s, uint32_t *value) {
    int i;
    *value = 0;
    if (length_of(*s) < 4) return 0;
    for (i = 0; i < 4; i++) {
        unsigned char c = *s->at++;
        *value = *value << 4 | (uint32_t)(c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'))) return 0;
    }
    return 1;
}

static uint32_t next_character(reader *r) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name;
    uint32_t c, low;
    if (r->left.at == r->left.end || (r->json && *r->left.at == '"')) return END_OF_TEXT;
    if (!r->json || *r->left.at != '\\') return utf8(&r->left);
    if (++r->left.at == r->left.end) return END_OF_TEXT;
    c = *r->left.at++;
    if (c != 'u') return (name = strchr(names, (int)c)) && *name ? (uint32_t)values[name - names] : REPLACEMENT;
    if (!hex4(&r->left, &c)) return REPLACEMENT;
    if (c >= 0xD800 && c < 0xDC00 && length_of(r->left) >= 6 && r->left.at[0] == '\\' && r->left.at[1] == 'u') {
        slice ahead = r->left;
        ahead.at += 2;
        if (hex4(&ahead, &low) && low >= 0xDC00 && low < 0xE000) {
            r->left = ahead;
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return c >= 0xD800 && c < 0xE000 ? REPLACEMENT : c;
}

/* Writes a code point as UTF-8 → how many bytes. */
static size_t put_utf8(uint32_t c, unsigned char *out) {
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (i = size - 1; i; i--, c >>= 6) out[i] = (unsigned char)(0x80 | (c & 63));
    out[0] = (unsigned char)(first[size] | c);
    return size;
}

/* --- JSON, as far as the metadata needs it: values are slices ------------------------------------------------- */

static void skip_space(slice *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

/* Takes the value that s begins with. 0 where there is none. Brackets are counted, so nesting needs no stack. */
static int json_value(slice *s, slice *value) {
    size_t depth = 0;
    skip_space(s);
    value->at = s->at;
    do {
        if (s->at == s->end) return 0;
        if (*s->at == '"') {
            for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
                if (*s->at == '\\' && ++s->at == s->end) return 0;
            if (s->at++ == s->end) return 0;
        } else if (*s->at == '[' || *s->at == '{') depth++, s->at++;
        else if (*s->at == ']' || *s->at == '}') {
            if (!depth) return 0;
            depth--, s->at++;
        } else if (depth && (*s->at == ',' || *s->at == ':' || *s->at == ' ')) s->at++;
        else {
            const unsigned char *start = s->at;
            while (s->at < s->end && !strchr(",:]}[{\" \n\t\r", *s->at)) s->at++;
            if (s->at < s->end && *s->at == 0) return 0;
            if (s->at == start) s->at++;
        }
    } while (depth);
    value->end = s->at;
    skip_space(s);
    return value->end > value->at;
}

/* Steps into an array or object. */
static int json_enter(slice *value, char bracket) {
    if (value->at == value->end || *value->at != (unsigned char)bracket) return 0;
    value->at++, value->end--;
    skip_space(value);
    return 1;
}

/* The next value of an array that was entered. */
static int json_next(slice *array, slice *value) {
    if (array->at == array->end || !json_value(array, value)) return 0;
    if (array->at < array->end && *array->at == ',') array->at++;
    return 1;
}

static int json_get(slice object, const char *key, slice *value) {
    slice name;
    if (!json_enter(&object, '{')) return 0;
    while (json_value(&object, &name)) {
        if (object.at == object.end || *object.at++ != ':' || !json_value(&object, value)) return 0;
        name.at++, name.end--; /* the quotation marks */
        if (name.at <= name.end && same(name, key)) return 1;
        if (object.at == object.end || *object.at++ != ',') return 0;
    }
    return 0;
}

static reader json_string(slice value) {
    reader r;
    r.left = value, r.json = 1;
    if (value.at == value.end || *value.at != '"') r.left.at = r.left.end;
    else r.left.at++;
    return r;
}

static reader plain(const char *text, size_t size) {
    reader r;
    r.left.at = (const unsigned char *)text, r.left.end = r.left.at + size, r.json = 0;
    return r;
}

static int json_is(slice object, const char *key, const char *text) {
    slice value;
    reader r;
    uint32_t c;
    if (!json_get(object, key, &value) || value.at == value.end || *value.at != '"') return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT; text++)
        if (c != (unsigned char)*text || !c) return 0;
    return !*text;
}

static double json_number(slice value, int *valid) {
    double number = 0, power = 1;
    int exponent = 0, sign = 1, digits = 0, written = 0, negative = 0;
    *valid = 0;
    if (value.at < value.end && *value.at == '-') sign = -1, value.at++;
    for (; value.at < value.end && *value.at >= '0' && *value.at <= '9'; value.at++, digits++)
        number = number * 10 + (*value.at - '0');
    if (value.at < value.end && *value.at == '.')
        for (value.at++; value.at < value.end && *value.at >= '0' && *value.at <= '9'; value.at++, digits++, exponent--)
            number = number * 10 + (*value.at - '0');
    if (digits && value.at < value.end && (*value.at | 32) == 'e') {
        value.at++;
        if (value.at < value.end && (*value.at == '-' || *value.at == '+')) negative = *value.at++ == '-';
        for (; value.at < value.end && *value.at >= '0' && *value.at <= '9' && written < 1000; value.at++)
            written = written * 10 + (*value.at - '0');
        exponent += negative ? -written : written;
    }
    if (!digits || value.at != value.end) return 0;
    *valid = 1;
    for (; exponent > 0; exponent--) power *= 10;
    for (; exponent < 0; exponent++) power /= 10;
    return sign * number * power;
}

/* A whole number from low to high: 1, or 0 where it is none. */
static int json_int(slice object, const char *key, int32_t low, int32_t high, int32_t *number) {
    slice value;
    int valid;
    double d;
    if (!json_get(object, key, &value)) return 0;
    d = json_number(value, &valid);
    if (!valid || !(d >= low && d <= high) || d != (double)(int32_t)d) return 0;
    *number = (int32_t)d;
    return 1;
}

/* --- SHA-256 (FIPS 180-4) ------------------------------------------------------------------------------------- */

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void sha256_block(uint32_t *state, const unsigned char *p) {
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8], t;
    int i;
    memcpy(s, state, sizeof s);
    for (i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ x >> 3) + (turn(y, 17) ^ turn(y, 19) ^ y >> 10);
    }
    for (i = 0; i < 64; i++) {
        t = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t;
        t += (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t;
    }
    for (i = 0; i < 8; i++) state[i] += s[i];
}

/* 1 where the 64 hexadecimal digits are the digest. */
static int sha256_is(slice data, const unsigned char *digits) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char end[128] = {0}; /* the last bytes, a bit, and how many bits there are */
    uint64_t bits = (uint64_t)length_of(data) * 8;
    size_t left, size, i;
    for (; length_of(data) >= 64; data.at += 64) sha256_block(state, data.at);
    left = length_of(data), size = left < 56 ? 64 : 128;
    memcpy(end, data.at, left);
    end[left] = 0x80;
    for (i = 0; i < 8; i++) end[size - 1 - i] = (unsigned char)(bits >> 8 * i);
    for (i = 0; i < size; i += 64) sha256_block(state, end + i);
    for (i = 0; i < 64; i++)
        if (digits[i] != "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i & 7)) & 15]) return 0;
    return 1;
}

/* --- Lower case, as Unicode has it ---------------------------------------------------------------------------- */

/* unicode_table.py writes from here */
/* Of Unicode 14.0.0. Bits of a range: first code point (21), step - 1 (1), count - 1 (10). */
static const struct { uint32_t range; int32_t distance; } LOWER[] = {
    {0x20819, 32}, {0x60016, 32}, {0x6c006, 32}, {0x80417, 1}, {0x99402, 1}, {0x9cc07, 1}, {0xa5416, 1},
    {0xbc400, -121}, {0xbcc02, 1}, {0xc0c00, 210}, {0xc1401, 1}, {0xc3400, 206}, {0xc3c00, 1}, {0xc4801, 205},
    {0xc5c00, 1}, {0xc7400, 79}, {0xc7c00, 202}, {0xc8400, 203}, {0xc8c00, 1}, {0xc9c00, 205}, {0xca400, 207},
    {0xcb400, 211}, {0xcbc00, 209}, {0xcc400, 1}, {0xce400, 211}, {0xcec00, 213}, {0xcfc00, 214}, {0xd0402, 1},
    {0xd3400, 218}, {0xd3c00, 1}, {0xd4c00, 218}, {0xd6400, 1}, {0xd7400, 218}, {0xd7c00, 1}, {0xd8801, 217},
    {0xd9c01, 1}, {0xdbc00, 219}, {0xdc400, 1}, {0xde400, 1}, {0xe2400, 2}, {0xe2c00, 1}, {0xe3c00, 2}, {0xe4400, 1},
    {0xe5400, 2}, {0xe5c08, 1}, {0xef408, 1}, {0xf8c00, 2}, {0xf9401, 1}, {0xfb400, -97}, {0xfbc00, -56},
    {0xfc413, 1}, {0x110400, -130}, {0x111408, 1}, {0x11d400, 10795}, {0x11dc00, 1}, {0x11ec00, -163},
    {0x11f400, 10792}, {0x120c00, 1}, {0x121c00, -195}, {0x122400, 69}, {0x122c00, 71}, {0x123404, 1}, {0x1b8401, 1},
    {0x1bb400, 1}, {0x1bfc00, 116}, {0x1c3400, 38}, {0x1c4002, 37}, {0x1c6400, 64}, {0x1c7001, 63}, {0x1c8810, 32},
    {0x1d1808, 32}, {0x1e7c00, 8}, {0x1ec40b, 1}, {0x1fa400, -60}, {0x1fbc00, 1}, {0x1fcc00, -7}, {0x1fd400, 1},
    {0x1fe802, -130}, {0x20000f, 80}, {0x20801f, 32}, {0x230410, 1}, {0x24541a, 1}, {0x260400, 15}, {0x260c06, 1},
    {0x26842f, 1}, {0x298825, 48}, {0x850025, 7264}, {0x863c00, 7264}, {0x866c00, 7264}, {0x9d004f, 38864},
    {0x9f8005, 8}, {0xe4802a, -3008}, {0xe5e802, -3008}, {0xf0044a, 1}, {0xf4f400, -7615}, {0xf5042f, 1},
    {0xf84007, -8}, {0xf8c005, -8}, {0xf94007, -8}, {0xf9c007, -8}, {0xfa4005, -8}, {0xfacc03, -8}, {0xfb4007, -8},
    {0xfc4007, -8}, {0xfcc007, -8}, {0xfd4007, -8}, {0xfdc001, -8}, {0xfdd001, -74}, {0xfde400, -9}, {0xfe4003, -86},
    {0xfe6400, -9}, {0xfec001, -8}, {0xfed001, -100}, {0xff4001, -8}, {0xff5001, -112}, {0xff6400, -7},
    {0xffc001, -128}, {0xffd001, -126}, {0xffe400, -9}, {0x1093400, -7517}, {0x1095400, -8383}, {0x1095c00, -8262},
    {0x1099400, 28}, {0x10b000f, 16}, {0x10c1c00, 1}, {0x125b019, 26}, {0x160002f, 48}, {0x1630400, 1},
    {0x1631400, -10743}, {0x1631c00, -3814}, {0x1632400, -10727}, {0x1633c02, 1}, {0x1636c00, -10780},
    {0x1637400, -10749}, {0x1637c00, -10783}, {0x1638400, -10782}, {0x1639400, 1}, {0x163ac00, 1},
    {0x163f001, -10815}, {0x1640431, 1}, {0x1675c01, 1}, {0x1679400, 1}, {0x5320416, 1}, {0x534040d, 1},
    {0x5391406, 1}, {0x539941e, 1}, {0x53bcc01, 1}, {0x53bec00, -35332}, {0x53bf404, 1}, {0x53c5c00, 1},
    {0x53c6c00, -42280}, {0x53c8401, 1}, {0x53cb409, 1}, {0x53d5400, -42308}, {0x53d5c00, -42319},
    {0x53d6400, -42315}, {0x53d6c00, -42305}, {0x53d7400, -42308}, {0x53d8400, -42258}, {0x53d8c00, -42282},
    {0x53d9400, -42261}, {0x53d9c00, 928}, {0x53da407, 1}, {0x53e2400, -48}, {0x53e2c00, -42307}, {0x53e3400, -35384},
    {0x53e3c01, 1}, {0x53e8400, 1}, {0x53eb401, 1}, {0x53fac00, 1}, {0x7f90819, 32}, {0x8200027, 40}, {0x8258023, 40},
    {0x82b800a, 39}, {0x82be00e, 39}, {0x82c6006, 39}, {0x82ca001, 39}, {0x8640032, 64}, {0x8c5001f, 32},
    {0xb72001f, 32}, {0xf480021, 34},
};
/* First code point (21 bits), 0 a cased letter or 1 passed over (1 bit), count - 1 (10 bits). */
static const uint32_t AROUND_SIGMA[] = {
    0x13c00, 0x17400, 0x1d400, 0x20819, 0x2f400, 0x30400, 0x30819, 0x54400, 0x55000, 0x56c00, 0x57c00, 0x5a400,
    0x5a800, 0x5bc01, 0x5d000, 0x60016, 0x6c01e, 0x7c0c2, 0xde003, 0xe20cf, 0x14a81a, 0x1584bf, 0x1b8003, 0x1ba401,
    0x1bb001, 0x1bd400, 0x1bd802, 0x1bf800, 0x1c2401, 0x1c3000, 0x1c3c00, 0x1c4002, 0x1c6000, 0x1c7013, 0x1d1852,
    0x1fb88a, 0x241c06, 0x2450a5, 0x298825, 0x2acc00, 0x2afc00, 0x2b0028, 0x2c8c2c, 0x2dfc00, 0x2e0c01, 0x2e2401,
    0x2e3c00, 0x2fa400, 0x300405, 0x30840a, 0x30e400, 0x320400, 0x325c14, 0x338400, 0x36b407, 0x36fc09, 0x375403,
    0x387c00, 0x388c00, 0x39841a, 0x3d340a, 0x3f5c0a, 0x3fd400, 0x3fec00, 0x40b417, 0x42cc02, 0x444400, 0x448401,
    0x44c407, 0x464c39, 0x49d400, 0x49e400, 0x4a0c07, 0x4a6c00, 0x4a8c06, 0x4b1401, 0x4b8c00, 0x4c0c00, 0x4de400,
    0x4e0c03, 0x4e6c00, 0x4f1401, 0x4ff400, 0x500c01, 0x51e400, 0x520c01, 0x523c01, 0x525c02, 0x528c00, 0x538401,
    0x53ac00, 0x540c01, 0x55e400, 0x560c04, 0x563c01, 0x566c00, 0x571401, 0x57d405, 0x580c00, 0x59e400, 0x59fc00,
    0x5a0c03, 0x5a6c00, 0x5aac01, 0x5b1401, 0x5c1400, 0x5e0400, 0x5e6c00, 0x600400, 0x602400, 0x61e400, 0x61f402,
    0x623402, 0x625403, 0x62ac01, 0x631401, 0x640c00, 0x65e400, 0x65fc00, 0x663400, 0x666401, 0x671401, 0x680401,
    0x69dc01, 0x6a0c03, 0x6a6c00, 0x6b1401, 0x6c0c00, 0x6e5400, 0x6e9402, 0x6eb400, 0x718c00, 0x71a406, 0x723408,
    0x758c00, 0x75a408, 0x763400, 0x764405, 0x78c401, 0x79ac00, 0x79bc00, 0x79cc00, 0x7b8c0d, 0x7c0404, 0x7c3401,
    0x7c6c0a, 0x7ccc23, 0x7e3400, 0x816c03, 0x819405, 0x81cc01, 0x81ec01, 0x82c401, 0x82f402, 0x838c03, 0x841400,
    0x842c01, 0x846c00, 0x84ec00, 0x850025, 0x863800, 0x866800, 0x86802a, 0x87e400, 0x87e802, 0x9aec02, 0x9d0055,
    0x9fc005, 0xb89402, 0xb99401, 0xba9401, 0xbb9401, 0xbda401, 0xbdbc06, 0xbe3400, 0xbe4c0a, 0xbebc00, 0xbeec00,
    0xc05c04, 0xc21c00, 0xc42c01, 0xc54c00, 0xc90402, 0xc93c01, 0xc99400, 0xc9cc02, 0xd0bc01, 0xd0dc00, 0xd2b400,
    0xd2c406, 0xd30400, 0xd31400, 0xd32c07, 0xd39c09, 0xd3fc00, 0xd53c00, 0xd5841e, 0xd80403, 0xd9a400, 0xd9b404,
    0xd9e400, 0xda1400, 0xdb5c08, 0xdc0401, 0xdd1403, 0xdd4401, 0xdd5c02, 0xdf3400, 0xdf4401, 0xdf6c00, 0xdf7c02,
    0xe16407, 0xe1b401, 0xe3c405, 0xe40008, 0xe4802a, 0xe5e802, 0xe68402, 0xe6a40c, 0xe71406, 0xe76c00, 0xe7a400,
    0xe7c401, 0xe8002b, 0xe9643e, 0xeb580c, 0xebc400, 0xebc821, 0xecdc64, 0xf00115, 0xf8c005, 0xf90025, 0xfa4005,
    0xfa8007, 0xfac800, 0xfad800, 0xfae800, 0xfaf81e, 0xfc0034, 0xfdb006, 0xfdec00, 0xfdf000, 0xfdfc02, 0xfe1002,
    0xfe3006, 0xfe6c02, 0xfe8003, 0xfeb005, 0xfeec02, 0xff000c, 0xff6c02, 0xff9002, 0xffb006, 0xffec01, 0x1005c04,
    0x100c401, 0x1012400, 0x1013c00, 0x1015404, 0x1030404, 0x1033409, 0x1038c00, 0x103fc00, 0x104840c, 0x1068420,
    0x1081000, 0x1083800, 0x1085009, 0x108a800, 0x108c804, 0x1092000, 0x1093000, 0x1094000, 0x1095003, 0x1097805,
    0x109c800, 0x109e003, 0x10a2804, 0x10a7000, 0x10b001f, 0x10c1801, 0x125b033, 0x160007b, 0x163e401, 0x163f066,
    0x1675803, 0x1677c02, 0x1679001, 0x1680025, 0x1693800, 0x1696800, 0x16b7c00, 0x16bfc00, 0x16f041f, 0x1717c00,
    0x1802c00, 0x1815403, 0x1818c04, 0x181dc00, 0x184cc05, 0x187e402, 0x500ac00, 0x527c405, 0x5306400, 0x532002d,
    0x5337c03, 0x533a409, 0x533fc00, 0x534001b, 0x534e403, 0x5378401, 0x5380421, 0x539104d, 0x53b8400, 0x53b8816,
    0x53c4402, 0x53c5803, 0x53c803a, 0x53e8001, 0x53e9800, 0x53ea804, 0x53f9402, 0x53fa801, 0x53fc401, 0x53fd000,
    0x5401400, 0x5403400, 0x5405c00, 0x5412c01, 0x5416400, 0x5462401, 0x5470411, 0x547fc00, 0x5493407, 0x54a3c0a,
    0x54c0402, 0x54d9c00, 0x54db403, 0x54de401, 0x54e7c00, 0x54f2c01, 0x5514c05, 0x5518c01, 0x551ac01, 0x5521c00,
    0x5526400, 0x5538400, 0x553e400, 0x5558400, 0x5559402, 0x555bc01, 0x555f401, 0x5560c00, 0x556ec00, 0x5576401,
    0x5579c01, 0x557b400, 0x559802a, 0x55adc04, 0x55b0008, 0x55b4c02, 0x55b804f, 0x55f2c00, 0x55f4400, 0x55f6c00,
    0x7d80006, 0x7d89804, 0x7d8f400, 0x7dd9410, 0x7f0040f, 0x7f09c00, 0x7f1040f, 0x7f29400, 0x7f2ac00, 0x7f7fc00,
    0x7f83c00, 0x7f87400, 0x7f8d400, 0x7f90819, 0x7f9f400, 0x7fa0400, 0x7fa0819, 0x7fb8400, 0x7fcf401, 0x7ff1c00,
    0x7ffcc02, 0x80fec00, 0x8170400, 0x81bb404, 0x820004f, 0x8258023, 0x826c023, 0x82b800a, 0x82be00e, 0x82c6006,
    0x82ca001, 0x82cb80a, 0x82d180e, 0x82d9806, 0x82dd801, 0x83c0405, 0x83c3c29, 0x83d9408, 0x8500c02, 0x8502c01,
    0x8506403, 0x851c402, 0x851fc00, 0x8572c01, 0x8640032, 0x8660032, 0x8692403, 0x8755c01, 0x87a340a, 0x87c1403,
    0x8800c00, 0x881c40e, 0x8838400, 0x8839c01, 0x883fc02, 0x8859c03, 0x885cc01, 0x885ec00, 0x8861400, 0x8866c00,
    0x8880402, 0x8893c04, 0x8896c07, 0x88b9c00, 0x88c0401, 0x88db408, 0x88e4c03, 0x88e7c00, 0x8917c02, 0x891a400,
    0x891b401, 0x891f400, 0x896fc00, 0x8971c07, 0x8980401, 0x899dc01, 0x89a0400, 0x89b3406, 0x89b8404, 0x8a1c407,
    0x8a21402, 0x8a23400, 0x8a2f400, 0x8a59c05, 0x8a5d400, 0x8a5fc01, 0x8a61401, 0x8ad9403, 0x8ade401, 0x8adfc01,
    0x8aee401, 0x8b19c07, 0x8b1ec00, 0x8b1fc01, 0x8b55c00, 0x8b56c00, 0x8b58405, 0x8b5bc00, 0x8b8ec02, 0x8b91403,
    0x8b93c04, 0x8c17c08, 0x8c1cc01, 0x8c5003f, 0x8c9dc01, 0x8c9f400, 0x8ca1c00, 0x8cea403, 0x8ced401, 0x8cf0400,
    0x8d00c09, 0x8d19c05, 0x8d1dc03, 0x8d23c00, 0x8d28c05, 0x8d2cc02, 0x8d4540c, 0x8d4c401, 0x8e18406, 0x8e1c405,
    0x8e1fc00, 0x8e49415, 0x8e55406, 0x8e59401, 0x8e5ac01, 0x8e98c05, 0x8e9d400, 0x8e9e401, 0x8e9fc06, 0x8ea3c00,
    0x8ec8401, 0x8ecac00, 0x8ecbc00, 0x8f79c01, 0x9a18408, 0xb578404, 0xb598406, 0xb5a0403, 0xb72003f, 0xb7a7c00,
    0xb7c7c10, 0xb7f0401, 0xb7f1c01, 0xd7f8403, 0xd7fac06, 0xd7fec01, 0xde4ec01, 0xde50403, 0xe78042d, 0xe798416,
    0xe8b3c02, 0xe8b9c0f, 0xe8c2c06, 0xe8d5403, 0xe921402, 0xea00054, 0xea2b046, 0xea4f001, 0xea51000, 0xea52801,
    0xea54803, 0xea5700b, 0xea5d800, 0xea5e806, 0xea62840, 0xea83803, 0xea86807, 0xea8b006, 0xea8f01b, 0xea9d803,
    0xeaa0004, 0xeaa3000, 0xeaa5006, 0xeaa9153, 0xeb54018, 0xeb61018, 0xeb6e01e, 0xeb7e018, 0xeb8b01e, 0xeb9b018,
    0xeba801e, 0xebb8018, 0xebc501e, 0xebd5018, 0xebe2007, 0xed00436, 0xed1dc31, 0xed3ac00, 0xed42400, 0xed4dc04,
    0xed50c0e, 0xef80009, 0xef85813, 0xf000406, 0xf004410, 0xf00dc06, 0xf011c01, 0xf013404, 0xf09840d, 0xf157400,
    0xf176403, 0xf468406, 0xf480043, 0xf4a2407, 0xf898019, 0xf8a8019, 0xf8b8019, 0xf9fdc04, 0x70000c00, 0x7001045f,
    0x700804ef,
};
/* to here */

/* How many entries of a table begin at or before c; its lines are `size` uint32 wide, the first of them the range. */
static size_t entries_up_to(const uint32_t *table, size_t count, size_t size, uint32_t c) {
    size_t low = 0;
    while (low < count) {
        size_t middle = (low + count) / 2;
        if (table[middle * size] >> 11 <= c) low = middle + 1;
        else count = middle;
    }
    return low;
}

static uint32_t lower(uint32_t c) {
    size_t n = entries_up_to(&LOWER[0].range, sizeof LOWER / sizeof *LOWER, 2, c);
    if (n--) {
        uint32_t range = LOWER[n].range, away = c - (range >> 11), step = (range >> 10 & 1) + 1;
        if (away % step == 0 && away / step <= (range & 1023)) return c + (uint32_t)LOWER[n].distance;
    }
    return c;
}

/* What c is to a capital sigma beside it: 0 a letter with case, 1 passed over, 2 neither. */
static int around_sigma(uint32_t c) {
    size_t n = entries_up_to(AROUND_SIGMA, sizeof AROUND_SIGMA / sizeof *AROUND_SIGMA, 1, c);
    if (!n || c - (AROUND_SIGMA[n - 1] >> 11) > (AROUND_SIGMA[n - 1] & 1023)) return 2;
    return (int)(AROUND_SIGMA[n - 1] >> 10 & 1);
}

/* --- The model file ------------------------------------------------------------------------------------------- */

#define START_ID 1
#define OOV_ID 2
#define FIRST_WORD_ID 4
#define MAX_LENGTH 100000
#define MAX_LINES 0xFFFFFE /* of the vocabulary, and n-grams: their numbers have 24 bits in an index */

/* Entries of the metadata, by their names behind "edge_lstm." */
enum { FORMAT, TOKENIZER, VOCABULARY, LABELS, NETWORK, GOLDEN, SEVERAL, KEYS };
static const char *const NAMES[KEYS] = {"format", "tokenizer", "vocabulary", "labels", "network", "golden", "several"};

typedef struct state state;

/* How a kernel takes inputs: bytes without or with a sign, q and q - 128; or 16 bits, q - zero. */
enum { U8, S8, S16 };

/* An instruction set. */
typedef struct {
    const char *name;
    int lanes;  /* units side by side */
    int inputs; /* U8, S8 or S16 */
    int limit;  /* the largest |weight| whose products it adds exactly; larger ones are packed in two halves */
    void (*step)(const edge_lstm *m, int d, state *const *states, int count);
} kernel;

/* The weights of one direction as the kernel reads them, by blocks of `lanes` units; see pack_int8 and pack_float. */
typedef struct {
    unsigned char *w, *r;
    float *bias;          /* [block, gate, lane] */
    float w_by, r_scale; /* what a sum of products is worth: with the scale of the embedding; without that of h */
} direction;

struct edge_lstm {
    const kernel *kernel;
    slice graph, metadata[KEYS], vocabulary;
    int32_t length, lines, words;                  /* text; the vocabulary's lines behind words are pieces */
    int32_t longest_word, longest_piece, specials; /* bytes; characters beyond ASCII that are no letters */
    int32_t ids, embedding_dim, hidden, directions, ngrams, ngram_dim; /* network; with the sentinels of int8 */
    int32_t labels, logits, several, int8, last; /* a text may have several labels; pooling last, else mean+max */
    const unsigned char *embedding, *embedding_scale, *w, *r, *b, *w_scale, *r_scale; /* in the file, unaligned */
    const unsigned char *vectors, *vector_scales, *head_weight, *head_scales, *head_bias;
    int32_t most_w, most_r;  /* int8: the largest |weight| */
    unsigned char kind[128]; /* of ASCII: LETTER, SEPARATOR or MARK */
    unsigned char letter[256]; /* of a byte: the letter in lower case, 0 where it is none or beyond ASCII */
    /* In its memory: */
    int32_t units; /* hidden, up to full blocks */
    direction of[2];
    char **names;
    double *thresholds;
    uint32_t *slots, *starts; /* the vocabulary's index: see find_line */
    uint32_t slot_mask, gram_mask;
    struct special { uint32_t character, becomes, kind; } *special;
    uint32_t *gram_slots;
    int32_t *grams; /* [ngrams, 2]: an id and -1, or two ids */
};

/* One direction of a text that is being read. fp32: x and q are floats, q is h. */
struct state {
    float *c, *h, *sum, *most; /* [units]; of the outputs so far: their sum and their largest */
    float *gates;              /* [block, gate, lane] */
    unsigned char *x, *q;      /* the step's inputs, of the embedding and of h, as the kernel multiplies them */
    float low, high, step;     /* the range of h, and its 8-bit scale */
    int32_t zero;
};

typedef struct { /* a text that is being read */
    int32_t *id; /* [length] */
    size_t count, at, text;
    state of[2];
} reading;

struct edge_lstm_worker {
    const edge_lstm *model;
    reading readings[EDGE_LSTM_TEXTS];
    unsigned char *word, *present; /* see word_room; a bit for each n-gram */
    int32_t *sums;                 /* of n-grams */
    float *values, *logit;         /* what the head reads and writes */
};

static const char NOT_A_MODEL[] = "not a model file of edge-lstm, or cut short; copy it again";
static const char CHANGED[] = "the file was cut short or changed after it was written; copy it again";
static const char OTHER[] = "this format version is not supported; export the model again, or use a newer engine";
static const char RULE_UNKNOWN[] = "this text rule is not supported; use a newer engine";
static const char UNUSABLE[] = "the file's metadata is unusable or does not fit together; export it again";
static const char POOLING[] = "this pooling is not supported; use last or mean+max";
static const char GRAPH[] = "this network is not supported: its graph has not the constants that its metadata needs";

enum { FLOAT32 = 1, INT8 = 3 };
enum { LETTER, SEPARATOR, MARK };

/* The first submessage `number` whose field `title` is this text. */
static int find_named(slice message, unsigned number, unsigned title, const char *text, slice *content) {
    field f, part;
    while (next_field(&message, &f) > 0) {
        slice rest = f.bytes;
        if (f.number != number || !f.is_bytes) continue;
        while (next_field(&rest, &part) > 0)
            if (part.number == title && part.is_bytes && same(part.bytes, text)) return *content = f.bytes, 1;
    }
    return 0;
}

/* A repeated number's next value: one a field, or packed in one. rest: the packed ones to come. */
static int next_integer(slice *message, unsigned number, slice *rest, uint64_t *value) {
    field f;
    while (rest->at == rest->end) {
        if (next_field(message, &f) <= 0) return 0;
        if (f.number != number) continue;
        if (!f.is_bytes) return *value = f.value, 1;
        *rest = f.bytes;
    }
    return varint(rest, value);
}

/* A constant of the graph by name, type and shape: its bytes, or NULL. */
static const unsigned char *constant(const edge_lstm *m, const char *name, int type, int axes, int32_t a, int32_t b,
                                     int32_t c) {
    slice tensor, rest, raw = {NULL, NULL}, packed = {NULL, NULL};
    uint64_t value, held = 0, size = type == FLOAT32 ? 4 : 1, shape[3];
    field f;
    int more, i;
    shape[0] = (uint64_t)a, shape[1] = (uint64_t)b, shape[2] = (uint64_t)c;
    if (!find_named(m->graph, 5, 8, name, &tensor)) return NULL;
    for (rest = tensor; (more = next_field(&rest, &f)) > 0;) {
        if (f.number == 2 && !f.is_bytes) held = f.value;
        if (f.number == 9 && f.is_bytes) raw = f.bytes;
    }
    for (i = 0; i < axes; i++, size *= value)
        if (!next_integer(&tensor, 1, &packed, &value) || value != shape[i]) return NULL;
    if (more || next_integer(&tensor, 1, &packed, &value) || held != (uint64_t)type) return NULL;
    return length_of(raw) == size ? raw.at : NULL;
}

static int32_t pooled_values(const edge_lstm *m) { return m->directions * m->hidden * (m->last ? 1 : 2); }

/* The n-grams that have a vector: single ids first, then pairs. grams: [ngrams, 2], or NULL only to check them. */
static int read_ngrams(const edge_lstm *m, int32_t *grams) {
    slice node, counts, pool, rest = {NULL, NULL};
    uint64_t value, pairs_start = UINT64_MAX;
    int32_t n, i;
    if (!find_named(m->graph, 1, 4, "TfIdfVectorizer", &node) || !find_named(node, 5, 1, "ngram_counts", &counts) ||
        !find_named(node, 5, 1, "pool_int64s", &pool) || !next_integer(&counts, 8, &rest, &value) || value)
        return 0;
    if (next_integer(&counts, 8, &rest, &value)) pairs_start = value;
    rest.at = rest.end = NULL;
    for (n = 0; n < m->ngrams; n++)
        for (i = 0; i < 2; i++) {
            if (i && (uint64_t)n < pairs_start) value = UINT64_MAX;
            else if (!next_integer(&pool, 8, &rest, &value) || value > (uint64_t)m->ids) return 0;
            if (grams) grams[2 * n + i] = value == UINT64_MAX ? -1 : (int32_t)value;
        }
    return !next_integer(&pool, 8, &rest, &value);
}

static void note(edge_lstm *m, uint32_t c, uint32_t becomes, uint32_t kind) {
    if (m->special) m->special[m->specials].character = c, m->special[m->specials].becomes = becomes, m->special[m->specials].kind = kind;
    m->specials++;
}

/* The characters of pieces-1 that are no letters, or become others: into kind[], and special where there is room. */
static int read_rule(edge_lstm *m) {
    slice tokenizer = m->metadata[TOKENIZER], value, name;
    reader r;
    uint32_t c, to;
    m->specials = 0;
    if (!json_get(tokenizer, "separators", &value)) return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT;)
        if (c < 128) m->kind[c] = SEPARATOR;
        else note(m, c, c, SEPARATOR);
    if (!json_get(tokenizer, "marks", &value)) return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT; m->kind[c] = MARK)
        if (c >= 128) return 0;
    if (!json_get(tokenizer, "replacements", &value) || !json_enter(&value, '{')) return 0;
    while (json_value(&value, &name)) {
        slice text;
        if (value.at == value.end || *value.at++ != ':' || !json_value(&value, &text)) return 0;
        r = json_string(name), c = next_character(&r);
        r = json_string(text), to = next_character(&r);
        if (c < 128 || c == END_OF_TEXT || to >= 128 || next_character(&r) != END_OF_TEXT) return 0;
        note(m, c, to, m->kind[to]);
        if (value.at < value.end && *value.at == ',') value.at++;
    }
    return 1;
}

/* The file's bytes → its graph and metadata, once its format and digest are right. */
static const char *read_file(edge_lstm *m, slice file, int digest_counts) {
    static const unsigned char nothing[1];
    slice rest = file;
    field f, e;
    int more, i;
    memset(m, 0, sizeof *m);
    while ((more = next_field(&rest, &f)) > 0) {
        slice key = {NULL, NULL}, content = {nothing, nothing};
        if (f.number == 7 && f.is_bytes) m->graph = f.bytes;
        if (f.number != 14 || !f.is_bytes) continue;
        while ((more = next_field(&f.bytes, &e)) > 0) {
            if (e.number == 1) key = e.bytes;
            else if (e.number == 2) content = e.bytes;
        }
        if (more < 0 || !key.at) return NOT_A_MODEL;
        if (length_of(key) < 10 || memcmp(key.at, "edge_lstm.", 10)) continue;
        key.at += 10;
        for (i = 0; i < KEYS; i++)
            if (same(key, NAMES[i])) m->metadata[i] = content;
    }
    if (more < 0 || !m->metadata[FORMAT].at) return NOT_A_MODEL;
    if (!same(m->metadata[FORMAT], "10")) return OTHER;
    if (length_of(file) < 64) return CHANGED;
    file.end -= 64; /* the digest of all before it */
    if (digest_counts && !sha256_is(file, file.end)) return CHANGED;
    for (rest = m->graph; (more = next_field(&rest, &f)) != 0;)
        if (more < 0) return CHANGED;
    return NULL;
}

/* How texts become ids: the tokenizer's settings and the vocabulary. */
static const char *read_tokenizer(edge_lstm *m) {
    static const char filters[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r";
    static const char keras_rule[] = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces";
    static const char *const texts[][2] = {
        {"lowercase", "unicode"}, {"padding", "right"}, {"truncation", "keep the last ids"}};
    static const struct { const char *key; int32_t value; } numbers[] = {
        {"pad_id", 0}, {"start_id", START_ID}, {"oov_id", OOV_ID}, {"first_word_id", FIRST_WORD_ID}};
    slice tokenizer = m->metadata[TOKENIZER];
    const unsigned char *at, *end;
    int keras = json_is(tokenizer, "rule", keras_rule);
    int32_t n, value;
    if (!tokenizer.at || !m->metadata[VOCABULARY].at) return UNUSABLE;
    for (n = 0; n < (int32_t)(sizeof texts / sizeof *texts); n++)
        if (!json_is(tokenizer, texts[n][0], texts[n][1])) return RULE_UNKNOWN;
    for (n = 0; n < (int32_t)(sizeof numbers / sizeof *numbers); n++)
        if (!json_int(tokenizer, numbers[n].key, numbers[n].value, numbers[n].value, &value)) return RULE_UNKNOWN;
    if (keras ? !json_is(tokenizer, "filters", filters) : !json_is(tokenizer, "rule", "pieces-1") || !read_rule(m))
        return RULE_UNKNOWN;
    m->kind[' '] = SEPARATOR;
    for (n = 0; keras && filters[n]; n++) m->kind[(unsigned char)filters[n]] = SEPARATOR;
    m->words = INT32_MAX;
    if (!json_int(tokenizer, "length", 1, MAX_LENGTH, &m->length)) return UNUSABLE;
    if (!keras && !json_int(tokenizer, "words", 0, 1 << 24, &m->words)) return UNUSABLE;
    m->vocabulary = m->metadata[VOCABULARY];
    if (length_of(m->vocabulary) >= UINT32_MAX) return UNUSABLE;
    for (at = m->vocabulary.at; at < m->vocabulary.end; m->lines++, at = end + 1) {
        int32_t *longest = m->lines < m->words ? &m->longest_word : &m->longest_piece;
        if (m->lines >= MAX_LINES) return UNUSABLE;
        end = memchr(at, '\n', (size_t)(m->vocabulary.end - at));
        if (!end) end = m->vocabulary.end;
        if (end - at > *longest) *longest = (int32_t)(end - at);
        if (end + 1 == m->vocabulary.end) m->lines++; /* it ends with an empty word */
    }
    if (keras) m->words = m->lines;
    return m->words <= m->lines ? NULL : UNUSABLE;
}

static int json_flag(slice object, const char *key, int32_t *flag) {
    slice value;
    if (!json_get(object, key, &value)) return 0;
    *flag = same(value, "true");
    return *flag || same(value, "false");
}

/* The network's shape, and that the vocabulary and the thresholds are its own. */
static const char *read_network(edge_lstm *m) {
    slice network = m->metadata[NETWORK];
    int32_t bidirectional;
    if (!json_int(network, "num_words", 1, 1 << 24, &m->ids) || m->ids != m->lines + FIRST_WORD_ID ||
        !json_int(network, "embedding_dim", 1, 1 << 16, &m->embedding_dim) ||
        !json_int(network, "hidden", 1, 1 << 14, &m->hidden) || !json_int(network, "labels", 2, 1 << 20, &m->labels) ||
        !json_flag(network, "bidirectional", &bidirectional))
        return UNUSABLE;
    if (!json_flag(network, "several", &m->several) || !json_int(network, "ngrams", 0, MAX_LINES, &m->ngrams) ||
        !json_int(network, "ngram_dim", m->ngrams ? 1 : 0, 1 << 16, &m->ngram_dim))
        return UNUSABLE;
    if (m->several != (m->metadata[SEVERAL].at != NULL)) return UNUSABLE;
    if (!m->ngrams) m->ngram_dim = 0;
    m->last = json_is(network, "pooling", "last");
    if (!m->last && !json_is(network, "pooling", "mean+max")) return POOLING;
    m->directions = 1 + bidirectional;
    m->logits = m->labels == 2 && !m->several ? 1 : m->labels;
    return NULL;
}

static float number(const unsigned char *at, size_t i) {
    float value;
    memcpy(&value, at + 4 * i, 4);
    return value;
}

static float nearest(float x) { return (x + 12582912.0f) - 12582912.0f; } /* halves to the even one; |x| below 2^22 */

/* The 8-bit scale of values from low to high, which include 0. */
static void scale_of(float low, float high, float *step, int32_t *zero) {
    float z;
    *step = low == high ? 1.0f : (high - low) / 255.0f;
    z = -low / *step;
    *zero = (int32_t)nearest(z > 0.0f ? (z < 255.0f ? z : 255.0f) : 0.0f); /* a NaN is 0 */
}

/* 1 where each row ends with the sentinels 127 and -128. These are the range of every text, so that an embedding's
 * value v is q - zero as it stands; step: that of this range. */
static int has_sentinels(const edge_lstm *m, float *step) {
    float scale = number(m->embedding_scale, 0);
    const unsigned char *row = m->embedding + m->embedding_dim - 2;
    int32_t i, zero;
    scale_of(-128 * scale, 127 * scale, step, &zero);
    for (i = -128; i < 128; i++) {
        float x = (float)i * scale / *step;
        if (zero != 128 || !(x > -129 && x < 128) || nearest(x) != (float)i) return 0;
    }
    for (i = 0; i <= m->ids; i++, row += m->embedding_dim)
        if (row[0] != 127 || row[1] != 128) return 0;
    return 1;
}

static int32_t most_weight(const unsigned char *w, size_t count) {
    int32_t most = 0;
    size_t i;
    for (i = 0; i < count; i++) {
        int32_t weight = ((const signed char *)w)[i];
        weight = weight < 0 ? -weight : weight;
        most = weight > most ? weight : most;
    }
    return most;
}

/* Where the weights lie in the file. int8: two sentinel columns in the embedding, two sentinel units a direction. */
static const char *find_weights(edge_lstm *m) {
    int type;
    int32_t d = m->directions, n, gates, inputs;
    float step;
    m->embedding = constant(m, "embedding", FLOAT32, 2, m->ids + 1, m->embedding_dim, 0);
    m->int8 = !m->embedding;
    type = m->int8 ? INT8 : FLOAT32;
    if (m->int8) {
        m->embedding_dim += 2, m->hidden += 2;
        m->embedding = constant(m, "embedding", INT8, 2, m->ids + 1, m->embedding_dim, 0);
        m->embedding_scale = constant(m, "embedding_scale", FLOAT32, 1, 1, 0, 0);
        m->w_scale = constant(m, "lstm_w_scale", FLOAT32, 1, d, 0, 0);
        m->r_scale = constant(m, "lstm_r_scale", FLOAT32, 1, d, 0, 0);
        if (!m->embedding || !m->embedding_scale || !m->w_scale || !m->r_scale || !has_sentinels(m, &step)) return GRAPH;
    }
    gates = 4 * m->hidden, n = m->embedding_dim; /* int8: [D, inputs, gates], fp32: [D, gates, inputs] */
    m->w = constant(m, "lstm_w", type, 3, d, m->int8 ? n : gates, m->int8 ? gates : n);
    n = m->hidden;
    m->r = constant(m, "lstm_r", type, 3, d, m->int8 ? n : gates, m->int8 ? gates : n);
    m->b = constant(m, "lstm_b", FLOAT32, 2, d, 2 * gates, 0);
    inputs = pooled_values(m) + m->ngram_dim;
    m->head_weight = constant(m, "head_w", type, 2, inputs, m->logits, 0);
    m->head_bias = constant(m, "head_b", FLOAT32, 1, m->logits, 0, 0);
    m->head_scales = m->int8 ? constant(m, "head_w_scales", FLOAT32, 2, inputs, 1, 0) : NULL;
    if (!m->embedding || !m->w || !m->r || !m->b || !m->head_weight || !m->head_bias || (m->int8 && !m->head_scales))
        return GRAPH;
    if (m->int8) {
        m->most_w = most_weight(m->w, (size_t)(d * m->embedding_dim) * (size_t)gates);
        m->most_r = most_weight(m->r, (size_t)(d * m->hidden) * (size_t)gates);
    }
    if (m->ngrams) {
        m->vectors = constant(m, "ngram_vectors", type, 2, m->ngrams, m->ngram_dim, 0);
        m->vector_scales = m->int8 ? constant(m, "ngram_scales", FLOAT32, 1, m->ngram_dim, 0, 0) : m->vectors;
        if (!m->vectors || !m->vector_scales || !read_ngrams(m, NULL)) return GRAPH;
    }
    return NULL;
}

/* The list of labels, or of thresholds, once it was entered. */
static int enter_labels(const edge_lstm *m, slice *list) { return *list = m->metadata[LABELS], json_enter(list, '['); }

static int enter_thresholds(const edge_lstm *m, slice *list) {
    return m->several && json_get(m->metadata[SEVERAL], "thresholds", list) && json_enter(list, '[');
}

static const char *check_labels(const edge_lstm *m) {
    slice list, value;
    reader r;
    uint32_t c;
    int32_t n;
    int valid;
    if (!enter_labels(m, &list)) return UNUSABLE;
    for (n = 0; json_next(&list, &value); n++) {
        if (*value.at != '"') return UNUSABLE;
        for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT;)
            if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return UNUSABLE;
    }
    if (n != m->labels) return UNUSABLE;
    if (!m->several) return NULL;
    if (!enter_thresholds(m, &list)) return UNUSABLE;
    for (n = 0; json_next(&list, &value); n++) {
        double threshold = json_number(value, &valid);
        if (!valid || !(threshold > 0 && threshold <= 1)) return UNUSABLE;
    }
    return n == m->labels ? NULL : UNUSABLE;
}

/* Everything that needs no arena: the file's bytes are whole, and describe a network that can be run here. */
static const char *parse(edge_lstm *m, slice file, int digest_counts) {
    const char *error = read_file(m, file, digest_counts);
    if (!error) error = read_tokenizer(m);
    if (!error) error = read_network(m);
    if (!error) error = find_weights(m);
    return error ? error : check_labels(m);
}

/* --- Memory: the model's, and each worker's ------------------------------------------------------------------- */

/* Counts pieces of memory, and hands them out once there is a base. */
typedef struct {
    unsigned char *base; /* NULL to count */
    uint64_t used;
} memory;

enum { ALIGNMENT = 64 };

static void *take(memory *all, uint64_t count, size_t size) {
    unsigned char *at = all->base ? all->base + all->used : NULL;
    all->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

static memory memory_at(void *base) {
    memory all = {NULL, 0};
    if (base) all.base = (unsigned char *)base + (size_t)(-(uintptr_t)base & (ALIGNMENT - 1));
    return all;
}

/* What to ask for: more than any memory has where it would not fit. */
static size_t total(const memory *all) {
    return all->used < SIZE_MAX / 2 ? (size_t)all->used + ALIGNMENT - 1 : SIZE_MAX / 2;
}

/* Groups of inputs, four bytes each, and how often they pass: twice where weights are packed in two halves. */
static int32_t groups_of(const edge_lstm *m, int32_t inputs) { return m->kernel->inputs == S16 ? (inputs + 1) / 2 : (inputs + 3) / 4; }

static int32_t passes_of(const edge_lstm *m, int32_t most) { return most > m->kernel->limit ? 2 : 1; }

static uint64_t packed_size(const edge_lstm *m, int32_t inputs, int32_t most) {
    uint64_t rows = m->int8 ? 1 + (uint64_t)groups_of(m, inputs) * (uint64_t)passes_of(m, most) : (uint64_t)inputs;
    return 16 * (uint64_t)m->units * rows;
}

static void lay_out_model(edge_lstm *m, memory *all) {
    size_t slots = 2, gram_slots = 2, d;
    while (slots * 3 < (size_t)m->lines * 4) slots *= 2;
    while (gram_slots * 3 < (size_t)m->ngrams * 4) gram_slots *= 2;
    m->slot_mask = (uint32_t)(slots - 1), m->gram_mask = (uint32_t)(gram_slots - 1);
    m->units = (m->hidden + m->kernel->lanes - 1) / m->kernel->lanes * m->kernel->lanes;
    take(all, 1, sizeof *m);
    for (d = 0; d < (size_t)m->directions; d++) {
        m->of[d].w = take(all, packed_size(m, m->embedding_dim, m->most_w), 1);
        m->of[d].r = take(all, packed_size(m, m->hidden, m->most_r), 1);
        m->of[d].bias = take(all, (size_t)m->units, 4 * sizeof(float));
    }
    m->names = take(all, (size_t)m->labels, sizeof(char *));
    if (m->names) m->names[0] = (char *)all->base + all->used;
    take(all, length_of(m->metadata[LABELS]) * 2 + (size_t)m->labels, 1); /* an escape gives at most three bytes */
    m->thresholds = take(all, m->several ? (size_t)m->labels : 0, sizeof(double));
    m->special = take(all, (size_t)m->specials, sizeof *m->special);
    m->grams = take(all, (size_t)m->ngrams, 2 * sizeof(int32_t));
    m->gram_slots = take(all, gram_slots, sizeof(uint32_t));
    m->slots = take(all, slots, sizeof(uint32_t));
    m->starts = take(all, (size_t)m->lines + 1, sizeof(uint32_t));
}

/* Of a word while it is read: enough to tell whether it is one of the vocabulary, and a piece more. */
static size_t word_room(const edge_lstm *m) { return (size_t)m->longest_word + (size_t)m->longest_piece + 4; }

static void lay_out_worker(const edge_lstm *m, edge_lstm_worker *w, memory *all) {
    size_t units = (size_t)m->units, inputs = (size_t)m->embedding_dim, t, d;
    size_t input = !m->int8 ? 4 : m->kernel->inputs == S16 ? 2 : 1; /* bytes */
    take(all, 1, sizeof *w);
    for (t = 0; t < EDGE_LSTM_TEXTS; t++) {
        w->readings[t].id = take(all, (size_t)m->length, sizeof(int32_t));
        for (d = 0; d < (size_t)m->directions; d++) {
            state *s = &w->readings[t].of[d];
            s->c = take(all, units, sizeof(float));
            s->h = take(all, units, sizeof(float));
            s->sum = take(all, units, sizeof(float));
            s->most = take(all, units, sizeof(float));
            s->gates = take(all, units, 4 * sizeof(float));
            s->x = take(all, inputs + 3, input);
            s->q = m->int8 ? take(all, units + 3, input) : (unsigned char *)s->h;
        }
    }
    w->word = take(all, word_room(m), 1);
    w->present = take(all, (size_t)m->ngrams / 8 + 1, 1);
    w->sums = take(all, (size_t)m->ngram_dim, sizeof(int32_t));
    w->values = take(all, (size_t)pooled_values(m) + (size_t)m->ngram_dim, sizeof(float));
    w->logit = take(all, (size_t)m->labels, sizeof(float));
}

/* int8 weights [inputs, 4H] for the kernel: by blocks of units the sums of their columns, [gate, lane], then their groups
 * of inputs, [group, gate, lane] of four bytes each: four weights, or two of 16 bits. Zeros fill up. */
static void pack_int8(const edge_lstm *m, const unsigned char *weights, int32_t inputs, int32_t most, unsigned char *out) {
    const signed char *w = (const signed char *)weights;
    int32_t lanes = m->kernel->lanes, width = m->kernel->inputs == S16 ? 2 : 4, groups = groups_of(m, inputs), first, j, i, k, pass;
    int32_t passes = passes_of(m, most);
    size_t row = 16 * (size_t)lanes;
    memset(out, 0, (size_t)packed_size(m, inputs, most));
    for (first = 0; first < m->units; first += lanes, out += row * (size_t)(1 + groups * passes))
        for (j = 0; j < 4; j++)
            for (i = 0; i < lanes && first + i < m->hidden; i++) {
                size_t place = 4 * (size_t)(j * lanes + i);
                int32_t sum = 0;
                for (k = 0; k < inputs; k++) {
                    int32_t weight = w[(size_t)k * 4 * (size_t)m->hidden + (size_t)(j * m->hidden + first + i)];
                    sum += weight;
                    for (pass = 0; pass < passes; pass++) {
                        int16_t part = (int16_t)(passes == 1 ? weight : pass ? weight - weight / 2 : weight / 2);
                        unsigned char *at = out + row * (size_t)(1 + pass * groups + k / width) + place;
                        if (m->kernel->inputs == S16) memcpy(at + 2 * (k % width), &part, 2);
                        else at[k % width] = (unsigned char)part;
                    }
                }
                memcpy(out + place, &sum, 4);
            }
}

/* fp32 weights [4H, inputs] for the kernel: [block, input, gate, lane]. */
static void pack_float(const edge_lstm *m, const unsigned char *w, int32_t inputs, unsigned char *out) {
    int32_t lanes = m->kernel->lanes, first, j, i, k;
    memset(out, 0, (size_t)packed_size(m, inputs, 0));
    for (first = 0; first < m->units; first += lanes)
        for (k = 0; k < inputs; k++)
            for (j = 0; j < 4; j++, out += 4 * (size_t)lanes)
                for (i = 0; i < lanes && first + i < m->hidden; i++)
                    memcpy(out + 4 * i, w + 4 * ((size_t)(j * m->hidden + first + i) * (size_t)inputs + (size_t)k), 4);
}

static void pack_direction(edge_lstm *m, int32_t d) {
    direction *to = &m->of[d];
    int32_t inputs = m->embedding_dim, hidden = m->hidden, lanes = m->kernel->lanes, first, j, i;
    size_t width = m->int8 ? 1 : 4, gates = 4 * (size_t)hidden;
    const unsigned char *w = m->w + width * (size_t)(d * inputs) * gates, *r = m->r + width * (size_t)(d * hidden) * gates;
    const unsigned char *b = m->b + 8 * (size_t)d * gates;
    float *bias = to->bias;
    if (m->int8) {
        pack_int8(m, w, inputs, m->most_w, to->w);
        pack_int8(m, r, hidden, m->most_r, to->r);
        has_sentinels(m, &to->w_by);
        to->w_by *= number(m->w_scale, (size_t)d), to->r_scale = number(m->r_scale, (size_t)d);
    } else {
        pack_float(m, w, inputs, to->w);
        pack_float(m, r, hidden, to->r);
    }
    memset(bias, 0, 16 * (size_t)m->units);
    for (first = 0; first < m->units; first += lanes)
        for (j = 0; j < 4; j++, bias += lanes)
            for (i = 0; i < lanes && first + i < hidden; i++) {
                size_t at = (size_t)(j * hidden + first + i);
                bias[i] = number(b, at) + number(b, gates + at);
            }
}

enum { WORD_SEED = 1, PIECE_SEED = 2 };

static uint32_t hash_more(uint32_t hash, uint32_t byte) { return (hash ^ byte) * 16777619u; } /* FNV-1a */

/* Where a hash begins in an index, and the tag that its entries bear: a slot is 0, or the tag and below it a number. */
static uint32_t slot_of(uint32_t hash, uint32_t mask) { return (hash ^ hash >> 15) & mask; }

#define TAG 0xFF000000u
#define NUMBER 0x00FFFFFFu

/* The slot that holds the word or piece, or the empty one where it would be. Its number is the line's, from 1. */
static uint32_t *find_line(const edge_lstm *m, const unsigned char *text, size_t size, uint32_t hash, int is_piece) {
    uint32_t slot = slot_of(hash, m->slot_mask), entry;
    for (; (entry = m->slots[slot]) != 0; slot = (slot + 1) & m->slot_mask) {
        uint32_t n = entry & NUMBER;
        if (((entry ^ hash) & TAG) == 0 && is_piece == (n > (uint32_t)m->words) &&
            m->starts[n] - m->starts[n - 1] - 1 == size && !memcmp(m->vocabulary.at + m->starts[n - 1], text, size))
            break;
    }
    return m->slots + slot;
}

static void index_words(edge_lstm *m) {
    const unsigned char *at = m->vocabulary.at, *end;
    int32_t n;
    memset(m->slots, 0, ((size_t)m->slot_mask + 1) * sizeof *m->slots);
    for (n = 0; n < m->lines; n++, at = end + 1) {
        uint32_t hash = n < m->words ? WORD_SEED : PIECE_SEED;
        const unsigned char *byte;
        end = memchr(at, '\n', (size_t)(m->vocabulary.end - at));
        if (!end) end = m->vocabulary.end;
        m->starts[n] = (uint32_t)(at - m->vocabulary.at), m->starts[n + 1] = (uint32_t)(end + 1 - m->vocabulary.at);
        for (byte = at; byte < end; byte++) hash = hash_more(hash, *byte);
        *find_line(m, at, (size_t)(end - at), hash, n >= m->words) = (hash & TAG) | (uint32_t)(n + 1); /* the last counts */
    }
}

/* The slot of the n-gram left, right (-1: left alone), or the empty one where it would be. Its number is the row's, from 1. */
static uint32_t *find_gram(const edge_lstm *m, int32_t left, int32_t right) {
    uint32_t hash = ((uint32_t)left * 0x9E3779B1u ^ (uint32_t)right) * 0x85EBCA6Bu, slot = slot_of(hash, m->gram_mask), entry;
    for (; (entry = m->gram_slots[slot]) != 0; slot = (slot + 1) & m->gram_mask) {
        const int32_t *gram = m->grams + 2 * (size_t)((entry & NUMBER) - 1);
        if (((entry ^ hash) & TAG) == 0 && gram[0] == left && gram[1] == right) return m->gram_slots + slot;
    }
    return m->gram_slots + slot;
}

static void index_grams(edge_lstm *m) {
    int32_t n;
    memset(m->gram_slots, 0, ((size_t)m->gram_mask + 1) * sizeof *m->gram_slots);
    if (m->ngrams) read_ngrams(m, m->grams);
    for (n = 0; n < m->ngrams; n++) {
        int32_t left = m->grams[2 * n], right = m->grams[2 * n + 1];
        uint32_t hash = ((uint32_t)left * 0x9E3779B1u ^ (uint32_t)right) * 0x85EBCA6Bu;
        *find_gram(m, left, right) = (hash & TAG) | (uint32_t)(n + 1);
    }
}

static void read_labels(edge_lstm *m) {
    slice list, value;
    unsigned char *out = (unsigned char *)m->names[0];
    uint32_t c;
    int32_t n;
    int valid;
    enter_labels(m, &list);
    for (n = 0; n < m->labels && json_next(&list, &value); n++) {
        reader r = json_string(value);
        m->names[n] = (char *)out;
        while ((c = next_character(&r)) != END_OF_TEXT) out += put_utf8(c, out);
        *out++ = 0;
    }
    if (enter_thresholds(m, &list))
        for (n = 0; n < m->labels && json_next(&list, &value); n++) m->thresholds[n] = json_number(value, &valid);
}

/* --- Text → ids ----------------------------------------------------------------------------------------------- */

static int around(uint32_t c) {
    if (c >= 0x80) return around_sigma(c);
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return 0;
    return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' ? 1 : 2;
}

/* A text while it becomes ids: those so far, and the word that is being read, as far as it is not given to pieces yet. */
typedef struct {
    const edge_lstm *m;
    int32_t *id; /* a ring of the last ones */
    unsigned char *word;
    size_t room, words, count, next, size;
    uint32_t hash;        /* of the word */
    int known, in_pieces; /* known: it had an id of a word; in_pieces: the word is too long for the vocabulary */
    int32_t last;         /* the word's last piece: unknown characters in a row are one id */
} encoder;

static void push(encoder *e, int32_t id) {
    e->id[e->next] = id;
    e->next = e->next + 1 == (size_t)e->m->length ? 0 : e->next + 1;
    e->count++;
    e->known |= id >= FIRST_WORD_ID;
}

/* Gives the word's beginning to pieces, at each place the longest that starts there, until less than `keep` is left. */
static void push_pieces(encoder *e, size_t keep) {
    size_t at = 0;
    while (e->size - at >= keep && at < e->size) {
        size_t room = e->size - at, n = 0, length = 0;
        uint32_t hash = PIECE_SEED, number = 0, got;
        const unsigned char *word = e->word + at;
        if (room > (size_t)e->m->longest_piece) room = (size_t)e->m->longest_piece;
        while (n < room) { /* one character more */
            do hash = hash_more(hash, word[n++]);
            while (n < e->size - at && (word[n] & 0xC0) == 0x80);
            got = *find_line(e->m, word, n, hash, 1);
            if (got) number = got & NUMBER, length = n;
        }
        if (number) push(e, e->last = (int32_t)number - 1 + FIRST_WORD_ID);
        else {
            if (e->last != OOV_ID) push(e, OOV_ID);
            e->last = OOV_ID;
            for (length = 1; length < e->size - at && (word[length] & 0xC0) == 0x80;) length++;
        }
        at += length;
    }
    memmove(e->word, e->word + at, e->size - at);
    e->size -= at;
}

static void push_word(encoder *e) {
    uint32_t entry = 0;
    if (!e->size && !e->in_pieces) return;
    if (!e->in_pieces) entry = *find_line(e->m, e->word, e->size, e->hash, 0);
    if (entry) push(e, (int32_t)(entry & NUMBER) - 1 + FIRST_WORD_ID);
    else if (e->m->lines > e->m->words) push_pieces(e, 0);
    else push(e, OOV_ID);
    e->words++;
    e->size = 0, e->hash = WORD_SEED, e->in_pieces = 0, e->last = 0;
}

static void push_byte(encoder *e, unsigned char byte) {
    e->word[e->size++] = byte;
    e->hash = hash_more(e->hash, byte);
}

static void push_character(encoder *e, uint32_t c) {
    unsigned char bytes[4];
    size_t n = put_utf8(c, bytes), i;
    if (e->size + n > e->room) { /* no word of the vocabulary is as long */
        e->in_pieces = 1;
        if (e->m->lines > e->m->words) push_pieces(e, (size_t)e->m->longest_piece);
        else e->size = 0;
    }
    for (i = 0; i < n; i++) push_byte(e, bytes[i]);
}

/* Takes letters of ASCII, most of most texts, for as long as there are any. → what the last one is to a sigma behind it:
 * 0 or 2 as around() says, before: what was before them. */
static int push_letters(encoder *e, slice *text, int before) {
    const unsigned char *at = text->at, *start = at;
    size_t room = e->room - e->size;
    const unsigned char *end = room < length_of(*text) ? at + room : text->end;
    unsigned char small;
    for (; at < end && (small = e->m->letter[*at]) != 0; at++) push_byte(e, small);
    text->at = at;
    while (at > start && around(at[-1]) == 1) at--;
    return at > start ? around(at[-1]) : before;
}

/* Turns the ring so that it begins at its oldest: the whole backwards, then each of its two parts. */
static void turn_ring(int32_t *id, size_t length, size_t oldest) {
    size_t part, low, high;
    for (part = 0; part < 3; part++) {
        low = part == 2 ? length - oldest : 0, high = part == 1 ? length - oldest : length;
        for (; low + 1 < high; low++, high--) {
            int32_t swapped = id[low];
            id[low] = id[high - 1], id[high - 1] = swapped;
        }
    }
}

static edge_lstm_status encode(edge_lstm_worker *w, reading *into, reader text) {
    const edge_lstm *m = w->model;
    size_t length = (size_t)m->length;
    int before = 2; /* what the last character that is not passed over is to a sigma */
    uint32_t c;
    int32_t k;
    encoder e = {m, into->id, w->word, word_room(m), 0, 0, 0, 0, WORD_SEED, 0, 0, 0};
    push(&e, START_ID);
    for (;;) {
        uint32_t small, more;
        unsigned kind;
        if (!text.json) before = push_letters(&e, &text.left, before);
        if ((c = next_character(&text)) == END_OF_TEXT) break;
        small = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c | 32 : c) : c == 0x130 ? 'i' : lower(c);
        kind = small < 0x80 ? m->kind[small] : LETTER;
        if (c == 0x3A3 && before == 0) { /* a capital sigma is final behind a letter and before none */
            reader ahead = text;
            while ((more = next_character(&ahead)) != END_OF_TEXT && around(more) == 1) continue;
            if (more == END_OF_TEXT || around(more) != 0) small = 0x3C2;
        }
        for (k = 0; small >= 0x80 && k < m->specials; k++)
            if (m->special[k].character == small) {
                kind = m->special[k].kind, small = m->special[k].becomes;
                break;
            }
        if (kind != LETTER) push_word(&e);
        if (kind != SEPARATOR) push_character(&e, small);
        if (kind == MARK) push_word(&e);
        if (c == 0x130) push_character(&e, 0x307); /* a capital I with a dot is two */
        if (around(c) != 1) before = around(c);
    }
    push_word(&e);
    into->count = e.count < length ? e.count : length;
    if (e.count > length && e.next) turn_ring(e.id, length, e.next);
    if (!e.known) return e.words ? EDGE_LSTM_UNKNOWN_WORDS : EDGE_LSTM_EMPTY;
    return e.count > length ? EDGE_LSTM_TRUNCATED : EDGE_LSTM_OK;
}

/* --- Arithmetic ----------------------------------------------------------------------------------------------- */

/* a · b + c, rounded once, on any machine. The product is exact in double. Their sum is rounded to double and then to float,
 * which is right unless the double lies in the middle of two floats: then the rest of the sum decides, which is kept by
 * making the double odd (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008). For results that are
 * normal numbers. */
#ifdef __GNUC__
#define LEFT_OUT __attribute__((unused)) /* where the machine has such an instruction */
#else
#define LEFT_OUT
#endif
#define IS_MIDDLE(low_bits) (((low_bits) & 0x1FFFFFFFu) == 0x10000000u)
static LEFT_OUT float multiply_add(float a, float b, float c) {
    double product = (double)a * (double)b, addend = (double)c, sum = product + addend, part, rest;
    uint64_t bits;
    memcpy(&bits, &sum, 8);
    if (IS_MIDDLE(bits)) {
        part = sum - product;
        rest = (product - (sum - part)) + (addend - part);
        if (rest != 0) bits = (rest > 0) == (sum > 0) ? bits + 1 : bits - 1;
        memcpy(&sum, &bits, 8);
    }
    return (float)sum;
}

static inline float plain_sigmoid(float x); /* with the kernels */

/* x[i] · x[n + i] + x[2n + i] in place of each of the first n. */
static LEFT_OUT void multiply_add_each(float *x, int n) {
    int i;
    for (i = 0; i < n; i++) x[i] = multiply_add(x[i], x[n + i], x[2 * n + i]);
}

/* e^x of x up to 0: Cephes' expf (netlib.org/cephes, single/expf.c), without fused operations. With n = x / ln 2, rounded,
 * e^x is 2^n times a polynomial of what is left. At most 1e-7 of the value off; below -87, 0. */
static float exponential(float x) {
    float n, y;
    int32_t bits;
    if (!(x > -87.0f)) return 0;
    n = nearest(x * 1.44269504088896341f);
    x -= n * 0.693359375f;
    x -= n * -2.12194440e-4f;
    y = 1.9875691500e-4f;
    y = y * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * (x * x) + x + 1.0f;
    bits = ((int32_t)n + 127) * (1 << 23);
    memcpy(&n, &bits, 4);
    return y * n;
}

/* √n, rounded as IEEE 754 has it: of n up to 2^17 no root is so near the middle of two floats that double could err. */
static float square_root(size_t n) {
    double root = n > 1024 ? 64 : 4;
    int i;
    for (i = 0; i < 12; i++) root = (root + (double)n / root) / 2;
    return (float)root;
}

/* The vectors of the n-grams that the text holds, each once, added up, over the square root of its length. */
static void add_ngrams(edge_lstm_worker *w, const reading *r, float *out) {
    const edge_lstm *m = w->model;
    int32_t j, k, width = m->ngram_dim;
    float root = square_root(r->count);
    size_t t;
    memset(w->present, 0, (size_t)m->ngrams / 8 + 1);
    memset(w->sums, 0, sizeof *w->sums * (size_t)width);
    memset(out, 0, sizeof *out * (size_t)width);
    for (t = 0; t < r->count; t++)
        for (k = t ? 0 : 1; k < 2; k++) { /* the pair that ends here, the id alone */
            uint32_t row = (k ? *find_gram(m, r->id[t], -1) : *find_gram(m, r->id[t - 1], r->id[t])) & NUMBER;
            if (!row-- || (w->present[row / 8] >> (row & 7) & 1)) continue;
            w->present[row / 8] |= (unsigned char)(1 << (row & 7));
            for (j = 0; j < width; j++) {
                size_t i = (size_t)row * (size_t)width + (size_t)j;
                if (m->int8) w->sums[j] += ((const signed char *)m->vectors)[i];
                else out[j] += number(m->vectors, i);
            }
        }
    for (j = 0; j < width; j++)
        out[j] = (m->int8 ? (float)w->sums[j] * number(m->vector_scales, (size_t)j) : out[j]) / root;
}

/* logit[l] = sum of values[j] · weight[j][l], in the order of j. */
static void multiply_head(const edge_lstm *m, const float *values, int32_t inputs, float *restrict logit) {
    int32_t j, l, logits = m->logits;
    for (l = 0; l < logits; l++) logit[l] = 0;
    for (j = 0; j < inputs; j++) {
        size_t row = (size_t)j * (size_t)logits;
        if (m->int8) {
            const signed char *weight = (const signed char *)m->head_weight + row;
            float scale = number(m->head_scales, (size_t)j);
            for (l = 0; l < logits; l++) logit[l] += values[j] * ((float)weight[l] * scale);
        } else
            for (l = 0; l < logits; l++) logit[l] += values[j] * number(m->head_weight, row + (size_t)l);
    }
    for (l = 0; l < logits; l++) logit[l] += number(m->head_bias, (size_t)l);
}

/* A text that was read to its end → its probabilities. */
static void answer(edge_lstm_worker *w, const reading *r, float *probabilities) {
    const edge_lstm *m = w->model;
    int32_t d, l, j, hidden = m->hidden, directions = m->directions, pooled = pooled_values(m);
    float *logit = w->logit;
    for (d = 0; d < directions; d++) {
        const state *s = &r->of[d];
        float *out = w->values + d * hidden;
        if (m->last) memcpy(out, s->h, sizeof *out * (size_t)hidden);
        else {
            for (j = 0; j < hidden; j++) out[j] = s->sum[j] / (float)r->count;
            memcpy(out + directions * hidden, s->most, sizeof *out * (size_t)hidden);
        }
    }
    if (m->ngrams) add_ngrams(w, r, w->values + pooled);
    multiply_head(m, w->values, pooled + m->ngram_dim, logit);
    if (m->several)
        for (l = 0; l < m->logits; l++) probabilities[l] = plain_sigmoid(logit[l]);
    else if (m->logits == 1) {
        probabilities[1] = plain_sigmoid(logit[0]);
        probabilities[0] = 1.0f - probabilities[1];
    } else {
        float most = logit[0], sum = 0;
        for (l = 1; l < m->logits; l++) most = logit[l] > most ? logit[l] : most;
        for (l = 0; l < m->logits; l++) sum += logit[l] = exponential(logit[l] - most);
        for (l = 0; l < m->logits; l++) probabilities[l] = logit[l] / sum;
    }
}

/* Before its first step. */
static void begin(const edge_lstm *m, reading *r) {
    size_t size = sizeof(float) * (size_t)m->units;
    int32_t d;
    r->at = 0;
    for (d = 0; d < m->directions; d++) {
        state *s = &r->of[d];
        memset(s->c, 0, size), memset(s->h, 0, size), memset(s->sum, 0, size), memset(s->most, 0, size);
        s->low = s->high = 0, s->step = 1, s->zero = 0;
        if (m->int8) memset(s->q, m->kernel->inputs == S8 ? 128 : 0, (size_t)(m->units + 3) * (m->kernel->inputs == S16 ? 2 : 1));
    }
}

/* One step of each reading. Those side by side do not see each other. */
static void advance(const edge_lstm *m, reading *const *readings, int count) {
    state *states[EDGE_LSTM_TEXTS];
    int32_t d, k, inputs = m->embedding_dim;
    int t;
    for (d = 0; d < m->directions; d++) {
        for (t = 0; t < count; t++) {
            const reading *r = readings[t];
            state *s = states[t] = &readings[t]->of[d];
            size_t id = (size_t)r->id[d ? r->count - 1 - r->at : r->at];
            const unsigned char *row = m->embedding + (m->int8 ? 1 : 4) * id * (size_t)inputs;
            unsigned char flip = m->kernel->inputs == S8 ? 0 : 0x80; /* v as a signed byte is v + 128 as an unsigned one */
            if (!m->int8) memcpy(s->x, row, 4 * (size_t)inputs);
            else if (m->kernel->inputs == S16) {
                int16_t *x = (int16_t *)(void *)s->x;
                for (k = 0; k < inputs; k++) x[k] = ((const signed char *)row)[k];
            } else
                for (k = 0; k < inputs; k++) s->x[k] = row[k] ^ flip;
        }
        m->kernel->step(m, d, states, count);
    }
    for (t = 0; t < count; t++) readings[t]->at++;
}

static void run(edge_lstm_worker *w, reading *r, float *probabilities) {
    begin(w->model, r);
    while (r->at < r->count) advance(w->model, &r, 1);
    answer(w, r, probabilities);
}

/* --- The calls of edge_lstm.h --------------------------------------------------------------------------------- */

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { DIGEST_COUNTS = 0 }; /* so that a fuzzer reaches what is behind it */
#else
enum { DIGEST_COUNTS = 1 };
#endif

static const kernel *find_kernel(const char *name, size_t number); /* with the kernels */

static const char *examine(edge_lstm *m, const void *file, size_t size, const char *name, int digest_counts) {
    static const uint16_t one = 1;
    slice bytes;
    const char *error;
    if (!*(const unsigned char *)&one || sizeof(float) != 4) return "a machine of this byte order is not supported";
    if (!file || !size) return NOT_A_MODEL;
    bytes.at = file, bytes.end = bytes.at + size;
    error = parse(m, bytes, digest_counts);
    m->kernel = find_kernel(name, 0);
    return error ? error : m->kernel ? NULL : "this machine has no such kernel; edge_lstm_kernels names those that it has";
}

const char *edge_lstm_kernels(size_t i) {
    const kernel *k = find_kernel(NULL, i);
    return k ? k->name : NULL;
}

size_t edge_lstm_needs(const void *file, size_t size, const char *kernel_name, const char **error) {
    edge_lstm m;
    memory all = memory_at(NULL);
    *error = examine(&m, file, size, kernel_name, 0);
    if (*error) return 0;
    lay_out_model(&m, &all);
    return total(&all);
}

edge_lstm *edge_lstm_open(const void *file, size_t size, const char *kernel_name, void *memory_given, size_t memory_size,
                          const char **error) {
    edge_lstm m, *model;
    memory all = memory_at(NULL);
    int32_t d, c;
    *error = examine(&m, file, size, kernel_name, DIGEST_COUNTS);
    if (*error) return NULL;
    lay_out_model(&m, &all);
    if (!memory_given || memory_size < total(&all)) {
        *error = "the memory is too small; edge_lstm_needs says how large it must be";
        return NULL;
    }
    all = memory_at(memory_given);
    model = (edge_lstm *)(void *)all.base;
    *model = m;
    lay_out_model(model, &all);
    for (d = 0; d < model->directions; d++) pack_direction(model, d);
    if (m.specials) read_rule(model);
    for (c = 0; c < 128; c++)
        if (model->kind[c >= 'A' && c <= 'Z' ? c | 32 : c] == LETTER)
            model->letter[c] = (unsigned char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    index_words(model);
    index_grams(model);
    read_labels(model);
    return model;
}

size_t edge_lstm_worker_needs(const edge_lstm *model) {
    edge_lstm_worker w;
    memory all = memory_at(NULL);
    lay_out_worker(model, &w, &all);
    return total(&all);
}

edge_lstm_worker *edge_lstm_worker_start(const edge_lstm *model, void *memory_given, size_t memory_size) {
    size_t needs = edge_lstm_worker_needs(model);
    memory all = memory_at(memory_given);
    edge_lstm_worker *w = (edge_lstm_worker *)(void *)all.base;
    if (!w || memory_size < needs) return NULL;
    memset(w, 0, needs - (ALIGNMENT - 1));
    w->model = model;
    lay_out_worker(model, w, &all);
    return w;
}

const char *edge_lstm_kernel(const edge_lstm *model) { return model->kernel->name; }

size_t edge_lstm_labels(const edge_lstm *model) { return (size_t)model->labels; }

const char *edge_lstm_label(const edge_lstm *model, size_t i) {
    return i < (size_t)model->labels ? model->names[i] : "";
}

double edge_lstm_threshold(const edge_lstm *model, size_t i) {
    return model->several && i < (size_t)model->labels ? model->thresholds[i] : 0;
}

const char *edge_lstm_status_name(edge_lstm_status status) {
    static const char *const names[] = {"ok", "empty", "unknown_words", "truncated"};
    return names[status];
}

edge_lstm_status edge_lstm_encode(edge_lstm_worker *w, const char *text, size_t size, const int32_t **ids, size_t *count) {
    edge_lstm_status status = encode(w, w->readings, plain(text, size));
    *ids = w->readings->id, *count = w->readings->count;
    return status;
}

int edge_lstm_run(edge_lstm_worker *w, const int32_t *ids, size_t count, float *probabilities) {
    reading *r = w->readings;
    size_t i;
    if (!count || count > (size_t)w->model->length) return 0;
    for (i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] > w->model->ids) return 0;
    memmove(r->id, ids, count * sizeof *ids);
    r->count = count;
    run(w, r, probabilities);
    return 1;
}

edge_lstm_status edge_lstm_predict(edge_lstm_worker *w, const char *text, size_t size, float *probabilities) {
    edge_lstm_status status = encode(w, w->readings, plain(text, size));
    run(w, w->readings, probabilities);
    return status;
}

void edge_lstm_predict_many(edge_lstm_worker *w, const char *const *texts, const size_t *sizes, size_t count,
                            float *probabilities, edge_lstm_status *statuses) {
    reading *readings[EDGE_LSTM_TEXTS];
    size_t next = 0, labels = (size_t)w->model->labels, steps;
    int t, active = 0;
    for (t = 0; t < EDGE_LSTM_TEXTS; t++) readings[t] = &w->readings[t];
    for (;;) {
        for (; active < EDGE_LSTM_TEXTS && next < count; active++, next++) {
            edge_lstm_status status = encode(w, readings[active], plain(texts[next], sizes[next]));
            if (statuses) statuses[next] = status;
            readings[active]->text = next;
            begin(w->model, readings[active]);
        }
        if (!active) return;
        steps = (size_t)-1;
        for (t = 0; t < active; t++)
            if (readings[t]->count - readings[t]->at < steps) steps = readings[t]->count - readings[t]->at;
        while (steps--) advance(w->model, readings, active);
        for (t = active - 1; t >= 0; t--)
            if (readings[t]->at == readings[t]->count) { /* its place is taken by the last */
                reading *ended = readings[t];
                answer(w, ended, probabilities + ended->text * labels);
                readings[t] = readings[--active], readings[active] = ended;
            }
    }
}

size_t edge_lstm_check(edge_lstm_worker *w, size_t *rows, float *worst) {
    const edge_lstm *m = w->model;
    slice all = m->metadata[GOLDEN], row, text, ids, values, value;
    reading *r = w->readings;
    size_t count = 0, wrong = 0, i;
    float largest = 0;
    if (all.at && json_enter(&all, '['))
        for (; json_next(&all, &row); count++) {
            int right = json_get(row, "text", &text) && json_get(row, "ids", &ids) && json_enter(&ids, '[') &&
                        json_get(row, "probabilities", &values) && json_enter(&values, '['), valid;
            if (right) {
                encode(w, r, json_string(text));
                for (i = 0; i < r->count && right; i++)
                    right = json_next(&ids, &value) && json_number(value, &valid) == r->id[i] && valid;
                right &= !json_next(&ids, &value);
                run(w, r, w->logit);
                for (i = 0; i < (size_t)m->labels && json_next(&values, &value); i++) {
                    double apart = json_number(value, &valid) - (double)w->logit[i];
                    apart = apart < 0 ? -apart : apart;
                    if (!valid || !(apart <= 1e-3)) right = 0;
                    if (apart > (double)largest) largest = (float)apart;
                }
                right &= i == (size_t)m->labels;
            }
            wrong += !right;
        }
    if (rows) *rows = count;
    if (worst) *worst = largest;
    return wrong;
}

/* --- Kernels: what differs between instruction sets. The rest, at the end of the file, is compiled for each --------- */

#ifdef __GNUC__ /* clang too */
#define FAST static inline __attribute__((always_inline))
#define FOR(names) __attribute__((target(names)))
#else
#define FAST static inline
#endif
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined __GNUC__
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

/* A kernel's own: LANES units side by side in vectors of floats and of int32, BLOCKS of such at a time or that many TEXTS,
 * how it takes INPUTS, and the LIMIT of its weights. */
#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define NAME(name) JOINED(KERNEL, name)
#define LANES NAME(lanes)
#define BLOCKS NAME(blocks)
#define TEXTS NAME(texts)
#define INPUTS (0 + NAME(inputs))
#define LIMIT NAME(limit)
#define floats NAME(floats)
#define ints NAME(ints)
#define SET(x) ((x) - (floats){0})
#define LESS(a, b) ((a) < (b) ? (a) : (b))
#define MORE(a, b) ((a) > (b) ? (a) : (b))
#define FOLD(OPERATION, v) OPERATION(OPERATION((v)[0], (v)[1]), OPERATION((v)[2], (v)[3])) /* of four lanes */

FAST int32_t load32(const unsigned char *at) {
    int32_t value;
    memcpy(&value, at, 4);
    return value;
}

/* Plain C: one unit at a time. */
#define KERNEL plain
#define TITLE "plain"
#define TARGET
#define SCALAR
enum { plain_lanes = 1, plain_blocks = 1, plain_texts = 1, plain_inputs = U8, plain_limit = 128 };
#define MIN(a, b) LESS(a, b)
#define MAX(a, b) MORE(a, b)
#ifdef __FP_FAST_FMAF
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) multiply_add(a, b, c)
#endif
#define LEAST(v) (v)
#define MOST(v) (v)
#if defined __ARM_FEATURE_DSP && defined __ARM_FEATURE_SIMD32 /* ARMv7 and Cortex-M4: two products at a time */
#include <arm_acle.h>
#define TURN(x) ((int32_t)((uint32_t)(x) >> 8 | (uint32_t)(x) << 24))
#define PAIR(w, x, sum) __smlad(__sxtb16((int8x4_t)(w)), (int16x2_t)__uxtb16((uint8x4_t)(x)), sum)
#define DOT(sum, w, x) PAIR(TURN(w), TURN(x), PAIR(w, x, sum))
#else
#define PRODUCT(w, x, bit) ((signed char)((uint32_t)(w) >> (bit) & 255) * (int32_t)((uint32_t)(x) >> (bit) & 255))
#define DOT(sum, w, x) ((sum) + PRODUCT(w, x, 0) + PRODUCT(w, x, 8) + PRODUCT(w, x, 16) + PRODUCT(w, x, 24))
#endif
#include "edge_lstm.c"
#undef SCALAR
#undef MIN
#undef MAX
#undef LEAST
#undef MOST

#if defined __GNUC__ && defined __SSE2__
#include <cpuid.h>
#include <immintrin.h>

/* SSE2: numbers of 16 bits, and no fused multiply-add: in double, and each alone where that is not enough. */
#define KERNEL sse2
#define TITLE "sse2"
#define TARGET
enum { sse2_lanes = 4, sse2_blocks = 2, sse2_texts = 2, sse2_inputs = S16, sse2_limit = 128 };
#define MIN(a, b) _mm_min_ps(a, b)
#define MAX(a, b) _mm_max_ps(a, b)
FAST __m128 sse2_fma(__m128 a, __m128 b, __m128 c) {
    __m128d low = _mm_add_pd(_mm_mul_pd(_mm_cvtps_pd(a), _mm_cvtps_pd(b)), _mm_cvtps_pd(c));
    __m128d high = _mm_add_pd(_mm_mul_pd(_mm_cvtps_pd(_mm_movehl_ps(a, a)), _mm_cvtps_pd(_mm_movehl_ps(b, b))),
                              _mm_cvtps_pd(_mm_movehl_ps(c, c)));
    __m128i bits = _mm_castps_si128(_mm_shuffle_ps(_mm_castpd_ps(low), _mm_castpd_ps(high), _MM_SHUFFLE(2, 0, 2, 0)));
    bits = _mm_cmpeq_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x1FFFFFFF)), _mm_set1_epi32(0x10000000)); /* IS_MIDDLE */
    if (_mm_movemask_epi8(bits)) {
        __m128 x[3] = {a, b, c};
        multiply_add_each((float *)x, 4);
        return x[0];
    }
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#define FMA(a, b, c) sse2_fma(a, b, c)
#define LEAST(v) FOLD(LESS, v)
#define MOST(v) FOLD(MORE, v)
#define DOT(sum, w, x) ((sum) + (ints)_mm_madd_epi16((__m128i)(w), (__m128i)(x)))
#include "edge_lstm.c"
#undef MIN
#undef MAX
#undef LEAST
#undef MOST

/* AVX2, without and with the dot products of VNNI. Two products of 255 and 64 fit in 16 bits. */
#define KERNEL avx2
#define TITLE "avx2"
#define TARGET FOR("avx2,fma")
enum { avx2_lanes = 8, avx2_blocks = 2, avx2_texts = 2, avx2_inputs = U8, avx2_limit = 64 };
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define HALVES(operation, v) operation(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1))
#define LEAST(v) FOLD(LESS, HALVES(_mm_min_ps, v))
#define MOST(v) FOLD(MORE, HALVES(_mm_max_ps, v))
#define PAIRS(w, x) _mm256_maddubs_epi16((__m256i)(x), (__m256i)(w))
#define DOT(sum, w, x) ((sum) + (ints)_mm256_madd_epi16(PAIRS(w, x), _mm256_set1_epi16(1)))
#include "edge_lstm.c"
#if (defined __clang__ && __clang_major__ >= 12) || (!defined __clang__ && __GNUC__ >= 11)
#define AVX_VNNI
#define KERNEL avx_vnni
#define TITLE "avx-vnni"
#define TARGET FOR("avx2,fma,avxvnni")
enum { avx_vnni_lanes = 8, avx_vnni_blocks = 2, avx_vnni_texts = 2, avx_vnni_inputs = U8, avx_vnni_limit = 128 };
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DOT(sum, w, x) ((ints)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(x), (__m256i)(w)))
#include "edge_lstm.c"
#endif
#undef MIN
#undef MAX
#undef LEAST
#undef MOST

#define KERNEL avx512_vnni
#define TITLE "avx512-vnni"
#define TARGET FOR("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")
enum { avx512_vnni_lanes = 16, avx512_vnni_blocks = 3, avx512_vnni_texts = 4, avx512_vnni_inputs = U8, avx512_vnni_limit = 128 };
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LEAST(v) _mm512_reduce_min_ps(v)
#define MOST(v) _mm512_reduce_max_ps(v)
#define DOT(sum, w, x) ((ints)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w)))
#include "edge_lstm.c"

/* 1 where the processor has it and the operating system saves its registers: bits of leaf 7's EBX and ECX, of leaf 7.1's EAX. */
static int x86_has(uint32_t registers, uint32_t ebx, uint32_t ecx, uint32_t more) {
    uint32_t a, b, c, d, leaves, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (1u << 27 | 1u << 12)) != (1u << 27 | 1u << 12)) return 0; /* XGETBV, FMA */
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if ((saved & registers) != registers || !__get_cpuid_count(7, 0, &leaves, &b, &c, &d)) return 0;
    if ((b & ebx) != ebx || (c & ecx) != ecx) return 0;
    return !more || (leaves && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & more) == more);
}
#endif

#ifdef __aarch64__
#include <arm_neon.h>

/* NEON, without and with dot products. */
#define KERNEL neon
#define TITLE "neon"
#define TARGET
enum { neon_lanes = 4, neon_blocks = 4, neon_texts = 4, neon_inputs = S8, neon_limit = 127 };
#define MIN(a, b) vminnmq_f32(a, b)
#define MAX(a, b) vmaxnmq_f32(a, b)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define LEAST(v) vminvq_f32(v)
#define MOST(v) vmaxvq_f32(v)
FAST int32x4_t neon_dot(int32x4_t sum, int8x16_t w, int8x16_t x) { /* pairs of products fit in 16 bits */
    return vpadalq_s16(sum, vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x)));
}
#define DOT(sum, w, x) neon_dot(sum, (int8x16_t)(w), (int8x16_t)(x))
#include "edge_lstm.c"
#if defined __ARM_FEATURE_DOTPROD || !defined __clang__ || __clang_major__ >= 16
#define KERNEL neon_dot_product
#define TITLE "neon-dot"
#ifdef __clang__
#define TARGET FOR("dotprod")
#else
#define TARGET FOR("arch=armv8.2-a+dotprod")
#endif
enum { neon_dot_product_lanes = 4, neon_dot_product_blocks = 4, neon_dot_product_texts = 4 };
enum { neon_dot_product_inputs = S8, neon_dot_product_limit = 128 };
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define DOT(sum, w, x) vdotq_s32(sum, (int8x16_t)(w), (int8x16_t)(x))
#include "edge_lstm.c"
#ifdef __linux__
#include <sys/auxv.h>
#define HAS_DOT_PRODUCTS (getauxval(16) >> 20 & 1) /* AT_HWCAP, HWCAP_ASIMDDP */
#elif defined __ARM_FEATURE_DOTPROD || defined __APPLE__
#define HAS_DOT_PRODUCTS 1
#endif
#endif
#endif

#ifdef __wasm_simd128__
#include <wasm_simd128.h>

/* WebAssembly: as SSE2. */
#define KERNEL wasm
#define TITLE "wasm-simd"
#define TARGET
enum { wasm_lanes = 4, wasm_blocks = 2, wasm_texts = 2, wasm_inputs = S16, wasm_limit = 128 };
#define MIN(a, b) ((floats)wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)))
#define MAX(a, b) ((floats)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))
FAST v128_t wasm_half(v128_t a, v128_t b, v128_t c) { /* of the first two */
    v128_t product = wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(a), wasm_f64x2_promote_low_f32x4(b));
    return wasm_f64x2_add(product, wasm_f64x2_promote_low_f32x4(c));
}
FAST v128_t wasm_fma(v128_t a, v128_t b, v128_t c) {
#define HIGH(v) wasm_i64x2_shuffle(v, v, 1, 1)
    v128_t low = wasm_half(a, b, c), high = wasm_half(HIGH(a), HIGH(b), HIGH(c));
    v128_t bits = wasm_v128_and(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), wasm_i32x4_splat(0x1FFFFFFF));
    if (wasm_v128_any_true(wasm_i32x4_eq(bits, wasm_i32x4_splat(0x10000000)))) { /* IS_MIDDLE */
        v128_t x[3] = {a, b, c};
        multiply_add_each((float *)x, 4);
        return x[0];
    }
    return wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 2);
}
#define FMA(a, b, c) ((floats)wasm_fma((v128_t)(a), (v128_t)(b), (v128_t)(c)))
#define LEAST(v) FOLD(LESS, v)
#define MOST(v) FOLD(MORE, v)
#define DOT(sum, w, x) ((sum) + (ints)wasm_i32x4_dot_i16x8((v128_t)(w), (v128_t)(x)))
#include "edge_lstm.c"
#endif

/* The number-th kernel that runs here, of this name if there is one. */
static const kernel *find_kernel(const char *name, size_t number) {
    const kernel *here[6];
    size_t count = 0, i;
#if defined __GNUC__ && defined __SSE2__
    if (x86_has(0xE6, 0xC0010020u, 1u << 11, 0)) here[count++] = &avx512_vnni_kernel; /* AVX512F, BW, VL; VNNI */
#ifdef AVX_VNNI
    if (x86_has(6, 1u << 5, 0, 1u << 4)) here[count++] = &avx_vnni_kernel;
#endif
    if (x86_has(6, 1u << 5, 0, 0)) here[count++] = &avx2_kernel;
    here[count++] = &sse2_kernel;
#endif
#ifdef HAS_DOT_PRODUCTS
    if (HAS_DOT_PRODUCTS) here[count++] = &neon_dot_product_kernel;
#endif
#ifdef __aarch64__
    here[count++] = &neon_kernel;
#endif
#ifdef __wasm_simd128__
    here[count++] = &wasm_kernel;
#endif
    here[count++] = &plain_kernel;
    for (i = 0; i < count; i++)
        if ((!name || !strcmp(name, here[i]->name)) && !number--) return here[i];
    return NULL;
}

#else /* --- The step of an LSTM, in the operations of KERNEL ----------------------------------------------------- */

#ifdef SCALAR
typedef float floats;
typedef int32_t ints;
#define TO_FLOATS(v) ((float)(v))
#define TO_INTS(v) ((int32_t)(v))
#else
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef unsigned char NAME(bytes) __attribute__((vector_size(LANES)));
typedef int16_t NAME(shorts) __attribute__((vector_size(2 * LANES)));
#define TO_FLOATS(v) __builtin_convertvector(v, floats)
#define TO_INTS(v) __builtin_convertvector(v, ints)
#endif

TARGET FAST floats NAME(load)(const float *at) { return *(const floats *)(const void *)at; }
TARGET FAST void NAME(store)(float *at, floats value) { *(floats *)(void *)at = value; }
TARGET FAST ints NAME(load_ints)(const unsigned char *at) { return *(const ints *)(const void *)at; }

/* h, rounded to 8 bits over its range, as the kernel takes its inputs. */
TARGET FAST void NAME(round)(unsigned char *out, floats h, const state *s) {
    floats q = (h / SET(s->step) + SET(12582912.0f)) - SET(12582912.0f) + SET((float)s->zero); /* as nearest() */
    ints n = TO_INTS(MIN(MAX(q, SET(0.0f)), SET(255.0f))) - (INPUTS == U8 ? 0 : INPUTS == S8 ? 128 : s->zero); /* a NaN is 0 */
#ifdef SCALAR
    *out = (unsigned char)n;
#else
    if (INPUTS == S16) *(NAME(shorts) *)(void *)out = __builtin_convertvector(n, NAME(shorts));
    else *(NAME(bytes) *)(void *)out = __builtin_convertvector(n, NAME(bytes));
#endif
}

/* The rational functions (Eigen's) that ONNX Runtime computes: with multiply-adds that are rounded once, they are its
 * bits. At most 1.8e-7 (sigmoid) and 3.3e-7 (tanh) from the exact values. */
TARGET FAST floats NAME(sigmoid)(floats x) {
    floats s, p, q;
    x = MIN(MAX(x, SET(-18.0f)), SET(18.0f));
    s = x * x;
    p = FMA(s, SET(4.37031012579801e-11f), SET(1.15627324459942e-07f));
    p = FMA(p, s, SET(6.08574864600143e-05f));
    p = FMA(p, s, SET(8.51377133304701e-03f));
    p = FMA(p, s, SET(2.48287947061529e-01f)) * x;
    q = FMA(s, SET(6.10247389755681e-13f), SET(5.76102136993427e-09f));
    q = FMA(q, s, SET(6.29106785017040e-06f));
    q = FMA(q, s, SET(1.70198817374094e-03f));
    q = FMA(q, s, SET(1.16817656904453e-01f));
    q = p / FMA(q, s, SET(9.93151921023180e-01f)) + SET(0.5f);
    return MIN(MAX(q, SET(0.0f)), SET(1.0f));
}

TARGET FAST floats NAME(tanh)(floats x) {
    floats s, p, q;
    x = MIN(MAX(x, SET(-9.0f)), SET(9.0f));
    s = x * x;
    p = FMA(s, SET(-2.76076847742355e-16f), SET(2.00018790482477e-13f));
    p = FMA(p, s, SET(-8.60467152213735e-11f));
    p = FMA(p, s, SET(5.12229709037114e-08f));
    p = FMA(p, s, SET(1.48572235717979e-05f));
    p = FMA(p, s, SET(6.37261928875436e-04f));
    p = FMA(p, s, SET(4.89352455891786e-03f)) * x;
    q = FMA(s, SET(1.19825839466702e-06f), SET(1.18534705686654e-04f));
    q = FMA(q, s, SET(2.26843463243900e-03f));
    return p / FMA(q, s, SET(4.89352518554385e-03f));
}

/* The gates of some blocks of units, of some texts: sums of integer products, times what they are worth. The sums stay in
 * registers while the inputs pass. first: the first block's number. */
TARGET FAST void NAME(tile)(const unsigned char *w, size_t stride, int32_t groups, int32_t passes, state *const *states,
                            int32_t first, const int texts, const int blocks, const int from_h, float by) {
    ints sum[4 * (TEXTS > BLOCKS ? TEXTS : BLOCKS)];
    ints x[TEXTS];
    int32_t k, pass;
    int i, t;
#define ROW(i) (w + (size_t)((i) / 4) * stride + (size_t)((i) % 4) * 4 * LANES)
    w += (size_t)first * stride;
    UNROLL for (i = 0; i < 4 * blocks; i++) {
        UNROLL for (t = 0; t < texts; t++)
            sum[i * texts + t] = INPUTS == S16 ? (ints){0} : NAME(load_ints)(ROW(i)) *
                                 ((INPUTS == S8 ? 128 : 0) - (from_h ? states[t]->zero : 128));
    }
    w += 16 * LANES;
    for (pass = 0; pass < passes; pass++)
        for (k = 0; k < groups; k++, w += 16 * LANES) {
            UNROLL for (t = 0; t < texts; t++) x[t] = load32((from_h ? states[t]->q : states[t]->x) + 4 * k) - (ints){0};
            UNROLL for (i = 0; i < 4 * blocks; i++) {
                ints v = NAME(load_ints)(ROW(i));
                UNROLL for (t = 0; t < texts; t++) sum[i * texts + t] = DOT(sum[i * texts + t], v, x[t]);
            }
        }
    UNROLL for (t = 0; t < texts; t++) {
        float *out = states[t]->gates + first * 4 * LANES;
        floats worth = SET(from_h ? states[t]->step * by : by);
        UNROLL for (i = 0; i < 4 * blocks; i++, out += LANES) {
            floats product = TO_FLOATS(sum[i * texts + t]) * worth;
            NAME(store)(out, from_h ? NAME(load)(out) + product : product);
        }
    }
#undef ROW
}

TARGET FAST void NAME(multiply)(const edge_lstm *m, const unsigned char *w, int32_t inputs, int32_t most,
                                state *const *states, int count, const int from_h, float by) {
    int32_t groups = groups_of(m, inputs), passes = passes_of(m, most), first, blocks = m->units / LANES;
    size_t stride = 16 * LANES * (size_t)(1 + groups * passes);
    for (; TEXTS > 1 && count >= TEXTS; count -= TEXTS, states += TEXTS)
        for (first = 0; first < blocks; first++)
            NAME(tile)(w, stride, groups, passes, states, first, TEXTS, 1, from_h, by);
    for (; count; count--, states++) {
        for (first = 0; first + BLOCKS <= blocks; first += BLOCKS)
            NAME(tile)(w, stride, groups, passes, states, first, 1, BLOCKS, from_h, by);
        for (; BLOCKS > 1 && first < blocks; first++) NAME(tile)(w, stride, groups, passes, states, first, 1, 1, from_h, by);
    }
}

/* fp32: gates (+)= sum of x[k] · w[k], in the order of k. */
TARGET FAST void NAME(multiply_float)(const edge_lstm *m, const unsigned char *packed, const float *x, int32_t inputs,
                                      float *gates, const int add) {
    const float *w = (const float *)(const void *)packed, *end = gates + 4 * m->units;
    int32_t k;
    int i;
    for (; gates < end; gates += 4 * LANES) {
        floats sum[4] = {SET(0.0f), SET(0.0f), SET(0.0f), SET(0.0f)};
        for (k = 0; k < inputs; k++, w += 4 * LANES)
            UNROLL for (i = 0; i < 4; i++) sum[i] += SET(x[k]) * NAME(load)(w + i * LANES);
        UNROLL for (i = 0; i < 4; i++)
            NAME(store)(gates + i * LANES, add ? NAME(load)(gates + i * LANES) + sum[i] : sum[i]);
    }
}

/* The gates → c and h, what the head reads of them, and h rounded for the next step. */
TARGET FAST void NAME(cell)(const edge_lstm *m, const float *bias, state *s) {
    floats low = SET(0.0f), high = SET(0.0f);
    float least, most;
    int32_t j;
#define GATE(i) (NAME(load)(s->gates + 4 * j + (i)*LANES) + NAME(load)(bias + 4 * j + (i)*LANES))
    for (j = 0; j < m->units; j += LANES) {
        floats input = NAME(sigmoid)(GATE(0)), output = NAME(sigmoid)(GATE(1)), forget = NAME(sigmoid)(GATE(2));
        floats c = forget * NAME(load)(s->c + j) + input * NAME(tanh)(GATE(3)), h = output * NAME(tanh)(c);
        NAME(store)(s->c + j, c);
        NAME(store)(s->h + j, h);
        low = MIN(h, low);
        high = MAX(h, high);
        if (m->last) continue;
        NAME(store)(s->sum + j, NAME(load)(s->sum + j) + h);
        NAME(store)(s->most + j, MAX(h, NAME(load)(s->most + j)));
    }
#undef GATE
    if (!m->int8) return;
    least = LEAST(low), most = MOST(high);
    if (least != s->low || most != s->high) {
        s->low = least, s->high = most;
        scale_of(least, most, &s->step, &s->zero);
    }
    for (j = 0; j < m->units; j += LANES) NAME(round)(s->q + j * (INPUTS == S16 ? 2 : 1), NAME(load)(s->h + j), s);
}

TARGET static void NAME(step)(const edge_lstm *m, int d, state *const *states, int count) {
    const direction *of = &m->of[d];
    int t;
    if (m->int8) {
        NAME(multiply)(m, of->w, m->embedding_dim, m->most_w, states, count, 0, of->w_by);
        NAME(multiply)(m, of->r, m->hidden, m->most_r, states, count, 1, of->r_scale);
    } else
        for (t = 0; t < count; t++) {
            NAME(multiply_float)(m, of->w, (const float *)(const void *)states[t]->x, m->embedding_dim, states[t]->gates, 0);
            NAME(multiply_float)(m, of->r, states[t]->h, m->hidden, states[t]->gates, 1);
        }
    for (t = 0; t < count; t++) NAME(cell)(m, of->bias, states[t]);
}

static const kernel NAME(kernel) = {TITLE, LANES, INPUTS, LIMIT, NAME(step)};

#undef KERNEL
#undef TITLE
#undef TARGET
#undef TO_FLOATS
#undef TO_INTS
#undef FMA
#undef DOT
#endif
