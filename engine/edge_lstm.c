/* Runs the model files of edge-lstm; edge_lstm.h says how, docs/file-format.md what the bytes mean.
 *
 * From top to bottom: bytes, characters and JSON; SHA-256; lower case; the model file; memory; text → ids; arithmetic;
 * the calls of edge_lstm.h; and the kernels: the steps of an LSTM, written once, compiled for each instruction set. */
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

typedef struct { const unsigned char *at, *end; } slice;

static size_t length_of(slice s) { return (size_t)(s.end - s.at); }
static int slice_equals(slice s, const char *text) { return length_of(s) == strlen(text) && !memcmp(s.at, text, strlen(text)); }
static int accept(slice *s, char c) { return s->at < s->end && *s->at == (unsigned char)c ? s->at++, 1 : 0; }

static int varint(slice *s, uint64_t *value) {
    const unsigned char *end = length_of(*s) < 10 ? s->end : s->at + 10;
    unsigned shift = 0;
    for (*value = 0; s->at < end; shift += 7) {
        *value |= (uint64_t)(*s->at & 127) << shift;
        if (*s->at++ < 128) return 1;
    }
    return 0;
}

typedef struct { unsigned number; int is_bytes; uint64_t value; slice bytes; } field;

/* Read the message's next field: return 1, 0 at its end, -1 where it is no message. */
static int next_field(slice *message, field *f) {
    uint64_t key, size;
    if (message->at == message->end) return 0;
    if (!varint(message, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return -1;
    *f = (field){(unsigned)(key >> 3), (key & 7) != 0, 0, {message->at, message->at}};
    if (!f->is_bytes) return varint(message, &f->value) ? 1 : -1;
    if ((key & 7) == 1 || (key & 7) == 5) size = (key & 7) == 1 ? 8 : 4;
    else if ((key & 7) != 2 || !varint(message, &size)) return -1;
    if (size > length_of(*message)) return -1;
    f->bytes.at = message->at;
    f->bytes.end = message->at += size;
    return 1;
}

enum { MAX_FIELDS = 256 }; /* of a message; a model's have at most half as many */

static int is_message(slice s) {
    field f;
    int more, count = 0;
    do more = next_field(&s, &f);
    while (more > 0 && count++ < MAX_FIELDS);
    return more == 0;
}

/* Return the message's last field of this number that holds bytes or, with a text, the last submessage of this number
 * whose own field `title` is the text. at is NULL where there is none. */
static slice find_named(slice message, unsigned number, unsigned title, const char *text) {
    slice last = {NULL, NULL};
    for (field f; next_field(&message, &f) > 0;)
        if (f.number == number && f.is_bytes && (!text || slice_equals(find_named(f.bytes, title, 0, NULL), text))) last = f.bytes;
    return last;
}

static slice bytes_of(slice message, unsigned number) { return find_named(message, number, 0, NULL); }

/* --- Characters: UTF-8, or a JSON string's content ------------------------------------------------------------ */

typedef struct { slice left; int json; } reader; /* json: backslashes are escapes, and a quotation mark ends it */

#define END_OF_TEXT 0xFFFFFFFFu
#define REPLACEMENT 0xFFFDu

/* Read a character. Each sequence that breaks off gives one U+FFFD, as in Python and browsers. */
static uint32_t utf8(slice *s) {
    uint32_t c = *s->at++;
    if (c < 0x80) return c;
    int more = c < 0xC2 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : 0;
    if (!more) return REPLACEMENT;
    unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    for (c &= 0x3Fu >> more; more; more--, low = 0x80, high = 0xBF) {
        if (s->at == s->end || *s->at < low || *s->at > high) return REPLACEMENT;
        c = c << 6 | (*s->at++ & 0x3F);
    }
    return c;
}

/* Write a code point as UTF-8: return the number of bytes. */
static size_t put_utf8(uint32_t c, unsigned char *out) {
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i; i--, c >>= 6) out[i] = (unsigned char)(0x80 | (c & 63));
    out[0] = (unsigned char)(first[size] | c);
    return size;
}

static uint32_t next_character(reader *r) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t", digits[] = "0123456789abcdef";
    slice *s = &r->left;
    if (s->at == s->end || (r->json && *s->at == '"')) return END_OF_TEXT;
    if (!r->json || *s->at != '\\') return utf8(s);
    if (++s->at == s->end) return END_OF_TEXT;
    uint32_t c = *s->at++;
    const char *name = c ? strchr(names, (int)c) : NULL;
    if (c != 'u') return name ? (uint32_t)values[name - names] : REPLACEMENT;
    c = 0;
    for (int i = 0; i < 4; i++) {
        const char *digit = s->at < s->end && *s->at ? strchr(digits, *s->at++) : NULL;
        if (!digit) return REPLACEMENT;
        c = c << 4 | (uint32_t)(digit - digits);
    }
    return c >= 0xD800 && c < 0xE000 ? REPLACEMENT : c;
}

/* --- JSON without white space, as far as the metadata needs it: a value is a slice of the file ------------------ */

/* Read the value that s begins with: return 0 where there is none. Brackets are counted, which needs no stack. */
static int json_value(slice *s, slice *value) {
    size_t depth = 0;
    for (value->at = s->at; s->at < s->end; s->at++) {
        unsigned char c = *s->at;
        if (c == '"') {
            while (++s->at < s->end && *s->at != '"')
                if (*s->at == '\\' && ++s->at == s->end) return 0;
            if (s->at == s->end) return 0;
        } else if (!depth && (c == ',' || c == ':' || c == ']' || c == '}')) break;
        else if (c == '[' || c == '{') depth++;
        else if (c == ']' || c == '}') depth--;
    }
    value->end = s->at;
    return !depth && value->at < value->end;
}

/* Enter an array or object. */
static int json_enter(slice *value, char bracket) { return accept(value, bracket) ? value->end--, 1 : 0; }

/* Read the next value of an array that was entered, and the comma behind it. */
static int json_next(slice *array, slice *value) { return json_value(array, value) && (accept(array, ',') || 1); }

/* Read the next name and value of an object that was entered. */
static int json_pair(slice *object, slice *name, slice *value) {
    return json_value(object, name) && accept(object, ':') && json_next(object, value);
}

static int json_get(slice object, const char *key, slice *value) {
    slice name;
    if (!json_enter(&object, '{')) return 0;
    while (json_pair(&object, &name, value)) {
        name.at++, name.end--; /* the quotation marks */
        if (name.at <= name.end && slice_equals(name, key)) return 1;
    }
    return 0;
}

/* Return a string's characters; none where the value is no string. */
static reader json_string(slice value) { return accept(&value, '"') ? (reader){value, 1} : (reader){{NULL, NULL}, 1}; }

/* Return whether the value is this JSON. */
static int json_is(slice in, const char *key, const char *json) { return json_get(in, key, &in) && slice_equals(in, json); }

/* Read digits behind those of number: return how many. */
static long accept_digits(slice *s, double *number) {
    const unsigned char *start = s->at;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) *number = *number * 10 + (*s->at - '0');
    return (long)(s->at - start);
}

static int json_number(slice value, double *number) {
    double mantissa = 0, written = 0, power = 1;
    int negative = accept(&value, '-'), down = 0;
    long digits = accept_digits(&value, &mantissa), behind = accept(&value, '.') ? accept_digits(&value, &mantissa) : 0;
    if (digits + behind && (accept(&value, 'e') || accept(&value, 'E'))) {
        down = accept(&value, '-') || (accept(&value, '+'), 0);
        accept_digits(&value, &written);
    }
    long exponent = (long)(written < 1000 ? written : 1000) * (down ? -1 : 1) - behind;
    for (; exponent > 0; exponent--) power *= 10;
    for (; exponent < 0; exponent++) power /= 10;
    *number = (negative ? -mantissa : mantissa) * power;
    return digits + behind && value.at == value.end;
}

/* Read a whole number from low to high. */
static int json_int(slice object, const char *key, int32_t low, int32_t high, int32_t *number) {
    double d;
    if (!json_get(object, key, &object) || !json_number(object, &d)) return 0;
    if (!(d >= low && d <= high) || d != (double)(int32_t)d) return 0;
    *number = (int32_t)d;
    return 1;
}

/* --- SHA-256 (FIPS 180-4) ------------------------------------------------------------------------------------- */

static uint32_t rotr32(uint32_t x, int by) { return x >> by | x << (32 - by); }

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
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 16; i++, p += 4) w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotr32(x, 7) ^ rotr32(x, 18) ^ x >> 3) + (rotr32(y, 17) ^ rotr32(y, 19) ^ y >> 10);
    }
    for (int i = 0; i < 64; i++) {
        t = s[7] + (rotr32(s[4], 6) ^ rotr32(s[4], 11) ^ rotr32(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t;
        t += (rotr32(s[0], 2) ^ rotr32(s[0], 13) ^ rotr32(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

/* Return whether the 64 hexadecimal digits behind the data are its digest. */
static int has_digest(slice data) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char end[128] = {0}; /* the last bytes, one bit, and the number of bits */
    uint64_t bits = (uint64_t)length_of(data) * 8;
    for (; length_of(data) >= 64; data.at += 64) sha256_block(state, data.at);
    size_t left = length_of(data), size = left < 56 ? 64 : 128;
    memcpy(end, data.at, left);
    end[left] = 0x80;
    for (size_t i = 0; i < 8; i++) end[size - 1 - i] = (unsigned char)(bits >> 8 * i);
    for (size_t i = 0; i < size; i += 64) sha256_block(state, end + i);
    for (size_t i = 0; i < 64; i++)
        if (data.end[i] != "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i & 7)) & 15]) return 0;
    return 1;
}

/* --- Lower case, as Unicode has it ---------------------------------------------------------------------------- */

/* unicode_table.py writes from here */
/* Of Unicode 14.0.0. A range: first letter << 8 | step - 1 << 7 | count - 1; distance. */
static const int32_t LOWER[] = {
    16665,32, 49174,32, 55302,32, 65687,1, 78466,1, 80263,1, 84630,1, 96384,-121, 96642,1, 98688,210, 98945,1,
    99968,206, 100224,1, 100609,205, 101248,1, 102016,79, 102272,202, 102528,203, 102784,1, 103296,205, 103552,207,
    104064,211, 104320,209, 104576,1, 105600,211, 105856,213, 106368,214, 106626,1, 108160,218, 108416,1, 108928,218,
    109696,1, 110208,218, 110464,1, 110849,217, 111489,1, 112512,219, 112768,1, 113792,1, 115840,2, 116096,1, 116608,2,
    116864,1, 117376,2, 117640,1, 122504,1, 127360,2, 127617,1, 128640,-97, 128896,-56, 129171,1, 139392,-130, 139912,1,
    146048,10795, 146304,1, 146816,-163, 147072,10792, 147840,1, 148352,-195, 148608,69, 148864,71, 149124,1, 225409,1,
    226944,1, 229248,116, 231040,38, 231426,37, 232576,64, 232961,63, 233744,32, 238344,32, 249728,8, 252043,1,
    259200,-60, 259968,1, 260480,-7, 260736,1, 261378,-130, 262159,80, 266271,32, 286864,1, 297626,1, 311424,15,
    311686,1, 315567,1, 340261,48, 1089573,7264, 1099648,7264, 1101184,7264, 1286223,38864, 1306629,8, 1871914,-3008,
    1883394,-3008, 1966282,1, 2006656,-7615, 2007215,1, 2033671,-8, 2037765,-8, 2041863,-8, 2045959,-8, 2050053,-8,
    2054531,-8, 2058247,-8, 2066439,-8, 2070535,-8, 2074631,-8, 2078721,-8, 2079233,-74, 2079872,-9, 2082819,-86,
    2083968,-9, 2086913,-8, 2087425,-100, 2091009,-8, 2091521,-112, 2092160,-7, 2095105,-128, 2095617,-126, 2096256,-9,
    2172544,-7517, 2173568,-8383, 2173824,-8262, 2175616,28, 2187279,16, 2196352,1, 2405913,26, 2883631,48, 2908288,1,
    2908800,-10743, 2909056,-3814, 2909312,-10727, 2910082,1, 2911616,-10780, 2911872,-10749, 2912128,-10783,
    2912384,-10782, 2912896,1, 2913664,1, 2915841,-10815, 2916529,1, 2943873,1, 2945664,1, 10895510,1, 10911885,1,
    10953350,1, 10957470,1, 10975617,1, 10976640,-35332, 10976900,1, 10980224,1, 10980736,-42280, 10981505,1,
    10983049,1, 10988160,-42308, 10988416,-42319, 10988672,-42315, 10988928,-42305, 10989184,-42308, 10989696,-42258,
    10989952,-42282, 10990208,-42261, 10990464,928, 10990727,1, 10994816,-48, 10995072,-42307, 10995328,-35384,
    10995585,1, 10997888,1, 10999425,1, 11007360,1, 16720153,32, 17039399,40, 17084451,40, 17133578,39, 17136654,39,
    17140742,39, 17142785,39, 17596466,64, 18391071,32, 24002591,32, 32047137,34};
static const char AROUND_SIGMA[] =
    "C{ewe@kewBhkeceBhDsecdgeceoedcicdsA|cB|cWlcpoY`cBlWapihgelcdoidelcdcApcIlcPlc}SxcCxgeseDd@_DuceciciceDoe@ky@g@mc"
    "eCke@gAuA_eKs@ac@icqCceceBwBmJk@mFg@moegeB_BaDkmDoe{iw@aDcFiE{eceo@aoek}@gi@se@{eFgeoq@_eAoiBgegiFceoioigmkeBwik"
    "e@kiFceoucioeAoiAwyceFgegecq@_e{i@kiBweFse@oeEgekeE{ecmsmcq{i@kiBseFgegewesiAoiBoiFcioq@_eAoiBseH_e{mceJgeg}@k@e"
    "Kgeg@e@cecyHgiBkececeE{@ycucis@mcCq@ceKwqcycigiBciomA_q@segiwe@{egCxcdsdgDlcelAJsmG_IxgxBAomBsiBwiBwiG_ic}@_eg@m"
    "keseDsuEkeGciCgeMwmoi@cewmZkigeFgec}ceceg@aw@igeC{e@_B}EcqE_ecuceseD_@e@oiC_qgicmF_ecikecmFg@agiG_yg@d{DlglA_mc@"
    "uc}oewekiwDpF}@teChKu@AxgxgCxgxg@`cdcdcdcB|gEtc|edmlc|mpgxcm@tmglc|i@ou@_i@gegeguEcuc@ice@seA_@uEkCeAcdodg@hcdkt"
    "wdcdcdcpcxodgpstodAcC`khBEcEpFAwNpiK|wpmh@oCxcdsdGce@{eK_CaD{e@YseCoqkuseJsyJsmBNAweC[gy@@weEkDxcqc@iceBpqI_i@wC"
    "iHxeA|mpcFlshcdctB_mhcid{ekeoeBciseQ{iBgAi@seCw@aBc@mDwmE_egqgiAceAsiGgygigi@oe@_eCke@keEkecmgisiceBke@wisiceFcD"
    "lu@dmoI`CsegeoeANAg|@otweQkAeAFsAake@oAaCgegeTce{ewe@kewBhkeceBhAseDsiGkeAsmA?ce[geQsuOsI`K_CpoCpMo@lc@|c|chc@lc"
    "@|c|ch@WkycDic@eAGwmcisqD_moeSsi@RcEl@sElEcq@OkiRc@mEcqNkeEw@}Dcegi@gmEcqgigeoe@geEgmCouc@aFwe@oiEo@e@gqgeJ{mgec"
    "iweS_ek@aAsiFcikeCs}kuWk@agmceA{eIoyceoici\\wqwiciBkiIs@ageciLgecegyceKsmgqcu@?k@eciKsG`JkiceoeQ_qgioeC_@iD_ygq@_"
    "e@cygmDw@uci@Qw}cyceIgAyg}ciciNgykecic}ceH_ikece@JkiTFk@e@UU{uFk}@cqA^oG`X{eF{AeG_iciA?@kqc}ciKRwicqQJoDygA}AC_m"
    "@cAag}BwqQom@VkItcG|chgdghgpc@pcdc|cGdcpg@`c|cBpcpctcdk|c@IpgBdcBdcB|cBdcB|cBdcB|cBdcB|cBdc@`AEoE}oEi@_e@weAwuc@"
    "}CI_@hcAp[c}cAeg}cicu@?s@y@M_eFsqD[_}DcGp@aF[oBhwBhwBhAMcuB?K?ceBwKaO_]aV]A_";
/* to here */

static uint32_t to_lower(uint32_t c) {
    size_t low = 0, high = sizeof LOWER / sizeof *LOWER / 2;
    while (low < high) { /* how many ranges begin at or before c */
        size_t middle = (low + high) / 2;
        if ((uint32_t)LOWER[2 * middle] >> 8 <= c) low = middle + 1;
        else high = middle;
    }
    if (!low--) return c;
    uint32_t range = (uint32_t)LOWER[2 * low], away = c - (range >> 8), step = (range >> 7 & 1) + 1;
    return away % step == 0 && away / step <= (range & 127) ? c + (uint32_t)LOWER[2 * low + 1] : c;
}

/* What a character is to a capital sigma beside it. Each run of code points is the number 4 * its length + this, in
 * digits of five bits, the highest first, which are the characters from ? on; a number's last digit is 32 more. */
enum { NEITHER, CASED, PASSED_OVER };

static int sigma_context(uint32_t c) {
    const char *at = AROUND_SIGMA;
    for (uint32_t end = 0, run = 0;; at++) {
        uint32_t digit = (uint32_t)*at - '?';
        run = run << 5 | (digit & 31);
        if (digit >= 32 && c < (end += run >> 2)) return (int)(run & 3);
        if (digit >= 32) run = 0;
    }
}

/* --- The model file ------------------------------------------------------------------------------------------- */

enum { START_ID = 1, OOV_ID = 2, FIRST_WORD_ID = 4, MAX_LENGTH = 100000 };
enum { MAX_IDS = 1000000, MAX_LABELS = 100000, MAX_NGRAMS = 1000000 }; /* an index has 24 bits for their numbers */

enum { FORMAT, TOKENIZER, VOCABULARY, LABELS, NETWORK, GOLDEN, SEVERAL, ABSTENTION, KEYS }; /* entries of the metadata */
static const char *const NAMES[KEYS] = {"edge_lstm.format", "edge_lstm.tokenizer", "edge_lstm.vocabulary",
                                        "edge_lstm.labels", "edge_lstm.network", "edge_lstm.golden",
                                        "edge_lstm.several", "edge_lstm.abstention"};
/* Their largest sizes, and what each label adds: many times what is written (docs/file-format.md). */
static const uint32_t MOST_BYTES[KEYS] = {16, 1 << 16, 1 << 25, 1 << 23, 1 << 16, 1 << 20, 1 << 16, 1 << 16};
static const uint32_t MORE_BYTES[KEYS] = {0, 0, 0, 0, 0, 512, 32, 0};

/* One direction of a text that is being read. fp32: x and q are floats, q is h. */
typedef struct {
    float *c, *h, *sum, *most; /* [units]; of the outputs so far: their sum and their largest */
    float *gates;              /* [block, gate, lane] */
    unsigned char *x, *q;      /* the step's inputs, of the embedding and of h, as the kernel multiplies them */
    float low, high, step;     /* the range of h, and its 8-bit scale */
    int32_t zero;
} state;

/* The type in which a kernel takes 8-bit inputs q: unsigned bytes q, signed bytes q - 128, or 16 bits, q - zero. */
enum { U8, S8, S16 };

/* The code for one instruction set. */
typedef struct {
    const char *name;
    int lanes;  /* units side by side */
    int inputs; /* U8, S8 or S16 */
    int limit;  /* the largest |weight| whose products it adds exactly; it refuses larger ones */
    void (*step)(const edge_lstm *m, int d, state *const *states, int count);
} kernel;

/* The weights of one direction in the kernel's order, by blocks of `lanes` units; see pack. */
typedef struct {
    unsigned char *w, *r;
    float *bias;         /* [block, gate, lane] */
    float w_by, r_scale; /* scale of a sum of products; of r without the scale of h */
} direction;

struct edge_lstm {
    const kernel *kernel;
    slice file, graph, metadata[KEYS];
    int32_t length, lines, words;                  /* text; the vocabulary's lines behind words are pieces */
    int32_t longest_word, longest_piece, specials; /* bytes; characters beyond ASCII that are no letters */
    int32_t ids, embedding_dim, hidden, directions, ngrams, ngram_dim; /* network; with the sentinels of int8 */
    int32_t labels, logits, several, int8, last; /* a text may have several labels; pooling last, else mean+max */
    const unsigned char *embedding, *embedding_scale, *w, *r, *b, *w_scale, *r_scale; /* in the file, unaligned */
    const unsigned char *vectors, *vector_scales, *head_weight, *head_scales, *head_bias;
    int32_t max_abs_weight;    /* int8: the LSTM's largest |weight| */
    float embedding_step;      /* int8: its scale, from the range of the sentinels */
    unsigned char kind[128];   /* of ASCII: LETTER, SEPARATOR or MARK */
    unsigned char letter[256]; /* of a byte: the letter in lower case, 0 where it is none or beyond ASCII */
    int32_t units; /* hidden, up to full blocks; what follows lies in the model's memory */
    direction of[2];
    char **names;
    double *thresholds;
    uint32_t *slots, *starts; /* the vocabulary's index: see find_line */
    uint32_t slot_mask, ngram_mask;
    struct special { uint32_t character, becomes; } *special; /* becomes: in ASCII */
    struct ngram { int32_t left, right; } *ngram_ids; /* [ngrams]: an id and -1, or two ids */
    uint32_t *ngram_slots;                        /* their index */
};

typedef struct { /* a text that is being read */
    int32_t *id; /* [2 * length]: the last ones, from the front once the text was read */
    size_t count, at, text;
    state of[2];
} reading;

struct edge_lstm_worker {
    const edge_lstm *model;
    reading readings[EDGE_LSTM_TEXTS];
    unsigned char *word, *present; /* see word_room; a bit for each n-gram */
    float *values, *logit;         /* what the head reads and writes */
};

static const char NOT_A_MODEL[] = "not a model file of edge-lstm, or cut short; copy it again";
static const char CHANGED[] = "the file was cut short or changed after it was written; copy it again";
static const char OTHER[] = "this format version is not supported; export the model again, or use a newer engine";
static const char RULE_UNKNOWN[] = "this text rule is not supported; use a newer engine";
static const char UNUSABLE[] = "the file's metadata is unusable or does not fit together; export it again";
static const char GRAPH[] = "this network is not supported: its graph has not the constants that its metadata needs";
static const char CROWDED[] = "its words or n-ngram_ids were chosen to make a search slow; export the model again";

enum { FLOAT32 = 1, INT8 = 3, SCALES = FLOAT32 | 256 }; /* scales are above 0 */
enum { LETTER, SEPARATOR, MARK };

/* Return the value of an entry of the metadata: empty where the entry has none, at is NULL where there is no entry. */
static slice entry_of(slice file, const char *key) {
    slice entry = find_named(file, 14, 1, key), value = bytes_of(entry, 2);
    return value.at ? value : (slice){entry.at, entry.at};
}

/* Find graph and metadata, and check format and digest. */
static const char *read_file(edge_lstm *m, slice file, int digest_counts) {
    slice rest = file;
    field f;
    memset(m, 0, sizeof *m);
    m->file = file, m->graph = bytes_of(file, 7);
    if (!is_message(file)) return NOT_A_MODEL;
    while (next_field(&rest, &f) > 0)
        if (f.number == 14 && !is_message(f.bytes)) return NOT_A_MODEL;
    for (int i = 0; i < KEYS; i++) m->metadata[i] = entry_of(file, NAMES[i]);
    if (!m->metadata[FORMAT].at) return NOT_A_MODEL;
    if (!slice_equals(m->metadata[FORMAT], "10")) return OTHER;
    if (length_of(file) < 64 || !is_message(m->graph)) return CHANGED;
    for (rest = m->graph; next_field(&rest, &f) > 0;) /* operators and constants */
        if ((f.number == 1 || f.number == 5) && !is_message(f.bytes)) return CHANGED;
    file.end -= 64; /* the digest of all before it */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a fuzzer has to get behind it */
    digest_counts = 0;
#endif
    return digest_counts && !has_digest(file) ? CHANGED : NULL;
}

/* Return whether no entry of the metadata is larger than it may be: before the first is read, and, of what grows with the
 * labels, once their number is known. A label's name stands in an entry at most four times. */
static int sizes_fit(const edge_lstm *m) {
    uint64_t named = 4 * (uint64_t)length_of(m->metadata[LABELS]);
    for (int i = 0; i < KEYS; i++) {
        uint64_t more = MORE_BYTES[i] ? MORE_BYTES[i] * (uint64_t)(m->labels ? m->labels : MAX_LABELS) + named : 0;
        if (length_of(m->metadata[i]) > MOST_BYTES[i] + more) return 0;
    }
    return 1;
}

static void add_special(edge_lstm *m, uint32_t c, uint32_t becomes) {
    if (m->special) m->special[m->specials] = (struct special){c, becomes};
    m->specials++;
}

/* Read which characters are no letters or become others into kind[] and, once there is memory, special. */
static int read_rule(edge_lstm *m, int keras) {
    slice tokenizer = m->metadata[TOKENIZER], value, name, text;
    uint32_t c;
    m->specials = 0;
    for (unsigned char kind = SEPARATOR; kind <= (keras ? SEPARATOR : MARK); kind++) {
        if (!json_get(tokenizer, keras ? "filters" : kind == MARK ? "marks" : "separators", &value)) return 0;
        for (reader r = json_string(value); (c = next_character(&r)) != END_OF_TEXT;)
            if (c < 128) m->kind[c] = kind;
            else if (kind == SEPARATOR) add_special(m, c, ' ');
            else return 0;
    }
    m->kind[' '] = SEPARATOR;
    if (keras) return 1;
    if (!json_get(tokenizer, "replacements", &value) || !json_enter(&value, '{')) return 0;
    while (json_pair(&value, &name, &text)) {
        reader from = json_string(name), into = json_string(text);
        uint32_t to = next_character(&into);
        c = next_character(&from);
        if (c < 128 || c == END_OF_TEXT || to >= 128 || next_character(&into) != END_OF_TEXT) return 0;
        add_special(m, c, to);
    }
    return value.at == value.end;
}

/* Read the next line; at is NULL behind the last. */
static int next_line(slice *lines, slice *line) {
    if (!lines->at) return 0;
    const unsigned char *end = memchr(lines->at, '\n', length_of(*lines));
    *line = (slice){lines->at, end ? end : lines->end};
    lines->at = end ? end + 1 : NULL;
    return 1;
}

/* Read how texts become ids: the tokenizer's settings and the vocabulary. */
static const char *read_tokenizer(edge_lstm *m) {
    static const char filters[] = "\"!\\\"#$%&()*+,-./:;<=>?@[\\\\]^_`{|}~\\t\\n\\r\"";
    static const char keras_rule[] =
        "\"lower-case; each filter character becomes a space; split on spaces; drop empty pieces\"";
    static const char *const fixed[][2] = {
        {"lowercase", "\"unicode\""}, {"padding", "\"right\""}, {"truncation", "\"keep the last ids\""},
        {"pad_id", "0"}, {"start_id", "1"}, {"oov_id", "2"}, {"first_word_id", "4"}};
    slice tokenizer = m->metadata[TOKENIZER], lines = m->metadata[VOCABULARY], line;
    int keras = json_is(tokenizer, "rule", keras_rule), pieces = json_is(tokenizer, "rule", "\"pieces-1\"");
    if (!tokenizer.at || !lines.at || !sizes_fit(m)) return UNUSABLE;
    if (!length_of(lines)) m->metadata[VOCABULARY] = lines = (slice){NULL, NULL}; /* not one empty line */
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!json_is(tokenizer, fixed[i][0], fixed[i][1])) return RULE_UNKNOWN;
    if (!(keras ? json_is(tokenizer, "filters", filters) : pieces) || !read_rule(m, keras)) return RULE_UNKNOWN;
    m->words = INT32_MAX;
    if (!json_int(tokenizer, "length", 1, MAX_LENGTH, &m->length) ||
        (!keras && !json_int(tokenizer, "words", 0, MAX_IDS, &m->words)))
        return UNUSABLE;
    for (; next_line(&lines, &line); m->lines++) {
        int32_t *longest = m->lines < m->words ? &m->longest_word : &m->longest_piece;
        if (m->lines >= MAX_IDS) return UNUSABLE;
        if ((int32_t)length_of(line) > *longest) *longest = (int32_t)length_of(line);
    }
    if (keras) m->words = m->lines;
    return m->words <= m->lines ? NULL : UNUSABLE;
}

/* Read the network's shape, and check that vocabulary and thresholds fit it. */
static const char *read_network(edge_lstm *m) {
    slice network = m->metadata[NETWORK];
    m->several = m->metadata[SEVERAL].at != NULL;
    m->last = json_is(network, "pooling", "\"last\"");
    if (!json_int(network, "num_words", 1, MAX_IDS, &m->ids) || m->ids != m->lines + FIRST_WORD_ID ||
        !json_int(network, "embedding_dim", 1, 1 << 16, &m->embedding_dim) ||
        !json_int(network, "hidden", 1, 1 << 14, &m->hidden) || !json_int(network, "labels", 2, MAX_LABELS, &m->labels) ||
        !json_int(network, "ngrams", 0, MAX_NGRAMS, &m->ngrams) ||
        !json_int(network, "ngram_dim", m->ngrams ? 1 : 0, 1 << 16, &m->ngram_dim) ||
        json_is(network, "several", "true") != m->several || (!m->last && !json_is(network, "pooling", "\"mean+max\"")))
        return UNUSABLE;
    if (!sizes_fit(m)) return UNUSABLE;
    if (!m->ngrams) m->ngram_dim = 0;
    m->directions = json_is(network, "bidirectional", "true") ? 2 : 1;
    m->logits = m->labels == 2 && !m->several ? 1 : m->labels;
    return NULL;
}

static float load_f32(const unsigned char *at, size_t i) {
    float value;
    memcpy(&value, at + 4 * i, 4);
    return value;
}

/* Return whether all floats are finite, and those of scales above 0: with others, engines answer differently. */
static int are_numbers(slice floats, int are_scales) {
    for (size_t i = 0; i < length_of(floats) / 4; i++) {
        float value = load_f32(floats.at, i);
        if (!(value - value == 0) || (are_scales && !(value > 0))) return 0;
    }
    return 1;
}

/* A constant of the graph: whether the model has it, its type, its shape up to -1, and what points to its bytes. */
typedef struct { const char *name; int needed, type; int32_t shape[4]; const unsigned char **bytes; } constant;

static int find_constant(const edge_lstm *m, const constant *c) {
    slice tensor = find_named(m->graph, 5, 8, c->name), raw = bytes_of(tensor, 9);
    uint64_t type = 0, size = c->type == INT8 ? 1 : 4;
    const int32_t *axis = c->shape;
    field f;
    int more;
    while ((more = next_field(&tensor, &f)) > 0) {
        if (f.number == 1 && (f.is_bytes || *axis < 0 || f.value != (uint64_t)*axis++)) return 0;
        if (f.number == 1) size *= f.value;
        if (f.number == 2) type = f.value;
    }
    *c->bytes = raw.at;
    if (more || *axis >= 0 || type != (uint64_t)(c->type & 255) || length_of(raw) != size) return 0;
    return c->type == INT8 || are_numbers(raw, c->type == SCALES);
}

/* Return the slot of an index where a search begins. */
static uint32_t slot_of(uint32_t hash, uint32_t mask) { return (hash ^ hash >> 15) & mask; }

/* Return whether a search ended much farther from where it began than in an index of chance entries, three quarters
 * full: then entries were chosen to fill one place, and each takes as many steps as there are before it. */
static int is_far(ptrdiff_t end, uint32_t start, uint32_t mask) { return (((uint32_t)end - start) & mask) > 2048; }

static uint32_t hash_ngram(int32_t left, int32_t right) {
    return ((uint32_t)left * 0x9E3779B1u ^ (uint32_t)right) * 0x85EBCA6Bu;
}

/* Return the slot of the n-gram left, right (-1: left alone), or the empty slot for it. A slot holds row + 1, or 0. */
static uint32_t *find_ngram(const edge_lstm *m, int32_t left, int32_t right) {
    uint32_t slot = slot_of(hash_ngram(left, right), m->ngram_mask), row;
    for (; (row = m->ngram_slots[slot]) != 0; slot = (slot + 1) & m->ngram_mask)
        if (m->ngram_ids[row - 1].left == left && m->ngram_ids[row - 1].right == right) break;
    return m->ngram_slots + slot;
}

/* Read the n-ngram_ids that have a vector, single ids first, then pairs: check them, and index them once there is memory. */
static int read_ngrams(edge_lstm *m) {
    slice node = find_named(m->graph, 1, 4, "TfIdfVectorizer"); /* its attributes hold varints one after another */
    slice counts = bytes_of(find_named(node, 5, 1, "ngram_counts"), 8);
    slice pool = bytes_of(find_named(node, 5, 1, "pool_int64s"), 8);
    uint64_t zero, left, right, pairs_start = UINT64_MAX;
    if (!varint(&counts, &zero) || zero) return 0;
    if (length_of(counts) && !varint(&counts, &pairs_start)) return 0;
    for (uint32_t n = 0; n < (uint32_t)m->ngrams; n++) {
        int is_pair = n >= pairs_start;
        if (!varint(&pool, &left) || left > (uint64_t)m->ids) return 0;
        if (is_pair && (!varint(&pool, &right) || right > (uint64_t)m->ids)) return 0;
        int32_t first = (int32_t)left, second = is_pair ? (int32_t)right : -1;
        if (!m->ngram_ids) continue;
        m->ngram_ids[n] = (struct ngram){first, second};
        uint32_t *slot = find_ngram(m, first, second);
        if (is_far(slot - m->ngram_slots, slot_of(hash_ngram(first, second), m->ngram_mask), m->ngram_mask)) return 0;
        *slot = n + 1;
    }
    return !length_of(pool);
}

static float round_half_even(float x) { return (x + 12582912.0f) - 12582912.0f; } /* half to even; |x| < 2^22 */

/* Find the 8-bit scale and zero of a range that includes 0. */
static void find_scale(float low, float high, float *step, int32_t *zero) {
    *step = low == high ? 1.0f : (high - low) / 255.0f;
    float z = -low / *step;
    *zero = (int32_t)round_half_even(z > 0.0f ? (z < 255.0f ? z : 255.0f) : 0.0f); /* a NaN is 0 */
}

/* Return whether each row ends with the sentinels 127 and -128. They give every text the same range, of zero 128, so
 * that the embedding's values are a text's 8-bit inputs as they stand. */
static int has_sentinels(edge_lstm *m) {
    float scale = load_f32(m->embedding_scale, 0);
    const unsigned char *row = m->embedding + m->embedding_dim - 2;
    int32_t zero;
    if (!(scale > 1e-30f && scale < 1e30f)) return 0; /* beyond, rounding may change values */
    find_scale(-128 * scale, 127 * scale, &m->embedding_step, &zero);
    for (int32_t i = 0; i <= m->ids; i++, row += m->embedding_dim)
        if (row[0] != 127 || row[1] != 128) return 0;
    return 1;
}

static void find_max_abs_weight(edge_lstm *m, const unsigned char *w, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t weight = (signed char)w[i], size = weight < 0 ? -weight : weight;
        if (size > m->max_abs_weight) m->max_abs_weight = size;
    }
}

static int32_t pooled_values(const edge_lstm *m) { return m->directions * m->hidden * (m->last ? 1 : 2); }

/* Find the weights in the file. int8 has two sentinel columns in the embedding and two sentinel units a direction. */
static const char *find_weights(edge_lstm *m) {
    int int8 = m->int8 = find_named(m->graph, 5, 8, "embedding_scale").at != NULL, type = int8 ? INT8 : FLOAT32;
    if (int8) m->embedding_dim += 2, m->hidden += 2;
    int32_t d = m->directions, x = m->embedding_dim, h = m->hidden, gates = 4 * h, head = pooled_values(m) + m->ngram_dim;
    const constant constants[] = {
        {"embedding", 1, type, {m->ids + 1, x, -1}, &m->embedding},
        {"embedding_scale", int8, SCALES, {1, -1}, &m->embedding_scale},
        {"lstm_w", 1, type, {d, int8 ? x : gates, int8 ? gates : x, -1}, &m->w},
        {"lstm_r", 1, type, {d, int8 ? h : gates, int8 ? gates : h, -1}, &m->r},
        {"lstm_b", 1, FLOAT32, {d, 2 * gates, -1}, &m->b},
        {"lstm_w_scale", int8, SCALES, {d, -1}, &m->w_scale},
        {"lstm_r_scale", int8, SCALES, {d, -1}, &m->r_scale},
        {"head_w", 1, type, {head, m->logits, -1}, &m->head_weight},
        {"head_w_scales", int8, SCALES, {head, 1, -1}, &m->head_scales},
        {"head_b", 1, FLOAT32, {m->logits, -1}, &m->head_bias},
        {"ngram_vectors", m->ngrams, type, {m->ngrams, m->ngram_dim, -1}, &m->vectors},
        {"ngram_scales", m->ngrams && int8, SCALES, {m->ngram_dim, -1}, &m->vector_scales}};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (constants[i].needed && !find_constant(m, constants + i)) return GRAPH;
    if (int8) find_max_abs_weight(m, m->w, (size_t)(d * x) * (size_t)gates), find_max_abs_weight(m, m->r, (size_t)(d * h) * (size_t)gates);
    return (!int8 || has_sentinels(m)) && (!m->ngrams || read_ngrams(m)) ? NULL : GRAPH;
}

/* Read the labels' names and thresholds: check them, and keep them once there is memory. */
static const char *read_labels(edge_lstm *m) {
    unsigned char *out = m->names ? (unsigned char *)m->names[0] : NULL;
    slice labels = m->metadata[LABELS], thresholds = {NULL, NULL}, value;
    double threshold;
    if (!json_enter(&labels, '[')) return UNUSABLE;
    if (m->several && (!json_get(m->metadata[SEVERAL], "thresholds", &thresholds) || !json_enter(&thresholds, '[')))
        return UNUSABLE;
    for (int32_t n = 0; n < m->labels; n++) {
        if (!json_next(&labels, &value) || *value.at != '"') return UNUSABLE;
        if (out) m->names[n] = (char *)out;
        reader r = json_string(value);
        for (uint32_t c; (c = next_character(&r)) != END_OF_TEXT;) {
            if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return UNUSABLE;
            if (m->several && c == '|') return UNUSABLE; /* it joins labels */
            if (out) out += put_utf8(c, out);
        }
        if (out) *out++ = 0;
        if (!m->several) continue;
        if (!json_next(&thresholds, &value) || !json_number(value, &threshold) || !(threshold > 0 && threshold <= 1))
            return UNUSABLE;
        if (m->thresholds) m->thresholds[n] = threshold;
    }
    return json_next(&labels, &value) || (m->several && json_next(&thresholds, &value)) ? UNUSABLE : NULL;
}

/* --- Memory: the model's, and each worker's ------------------------------------------------------------------- */

/* Counts the memory that is needed, and hands it out once there is a base. */
typedef struct { unsigned char *base; uint64_t used; } memory;
enum { ALIGNMENT = 64 };

static void *arena_alloc(memory *all, uint64_t count, size_t size) {
    unsigned char *at = all->base ? all->base + all->used : NULL;
    all->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

static memory memory_at(void *base) {
    return (memory){base ? (unsigned char *)base + (size_t)(-(uintptr_t)base & (ALIGNMENT - 1)) : NULL, 0};
}

/* Return what to ask for; where that would not fit in size_t, more than any memory has. */
static size_t total(const memory *all) { return all->used < SIZE_MAX / 2 ? (size_t)all->used + ALIGNMENT - 1 : SIZE_MAX / 2; }

/* Inputs that share four bytes, the number of such groups, bytes of an input and of a block of weights. */
static int32_t group_width(const edge_lstm *m) { return m->kernel->inputs == S16 ? 2 : 4; }
static int32_t groups_of(const edge_lstm *m, int32_t inputs) { return (inputs + group_width(m) - 1) / group_width(m); }
static size_t input_size(const edge_lstm *m) { return m->int8 ? 4 / (size_t)group_width(m) : 4; }
static size_t block_size(const edge_lstm *m, int32_t inputs) {
    return 16 * (size_t)m->kernel->lanes * (size_t)(m->int8 ? 1 + groups_of(m, inputs) : inputs);
}

static void lay_out_model(edge_lstm *m, memory *all) {
    uint64_t slots = 2, ngram_slots = 2, blocks;
    while (slots * 3 < (uint64_t)m->lines * 4) slots *= 2;
    while (ngram_slots * 3 < (uint64_t)m->ngrams * 4) ngram_slots *= 2;
    m->slot_mask = (uint32_t)(slots - 1), m->ngram_mask = (uint32_t)(ngram_slots - 1);
    m->units = (m->hidden + m->kernel->lanes - 1) / m->kernel->lanes * m->kernel->lanes;
    blocks = (uint64_t)(m->units / m->kernel->lanes);
    arena_alloc(all, 1, sizeof *m);
    for (int32_t d = 0; d < m->directions; d++) {
        m->of[d].w = arena_alloc(all, blocks, block_size(m, m->embedding_dim));
        m->of[d].r = arena_alloc(all, blocks, block_size(m, m->hidden));
        m->of[d].bias = arena_alloc(all, (uint64_t)m->units, 4 * sizeof(float));
    }
    m->names = arena_alloc(all, (uint64_t)m->labels, sizeof(char *));
    unsigned char *text = arena_alloc(all, length_of(m->metadata[LABELS]) * 3 + (uint64_t)m->labels, 1); /* a byte may be U+FFFD */
    if (text) m->names[0] = (char *)text;
    m->thresholds = arena_alloc(all, m->several ? (uint64_t)m->labels : 0, sizeof(double));
    m->special = arena_alloc(all, (uint64_t)m->specials, sizeof *m->special);
    m->ngram_ids = arena_alloc(all, (uint64_t)m->ngrams, sizeof *m->ngram_ids);
    m->ngram_slots = arena_alloc(all, ngram_slots, sizeof(uint32_t));
    m->slots = arena_alloc(all, slots, sizeof(uint32_t));
    m->starts = arena_alloc(all, (uint64_t)m->lines + 1, sizeof(uint32_t));
}

/* Return the bytes of a word that are kept while it is read: the longest word of the vocabulary and a piece more. */
static size_t word_room(const edge_lstm *m) { return (size_t)m->longest_word + (size_t)m->longest_piece + 4; }

static void lay_out_worker(const edge_lstm *m, edge_lstm_worker *w, memory *all) {
    uint64_t units = (uint64_t)m->units;
    arena_alloc(all, 1, sizeof *w);
    for (int t = 0; t < EDGE_LSTM_TEXTS; t++) {
        w->readings[t].id = arena_alloc(all, 2 * (uint64_t)m->length, sizeof(int32_t));
        for (int32_t d = 0; d < m->directions; d++) {
            state *s = &w->readings[t].of[d];
            float **const arrays[] = {&s->c, &s->h, &s->sum, &s->most};
            for (int i = 0; i < 4; i++) *arrays[i] = arena_alloc(all, units, sizeof(float));
            s->gates = arena_alloc(all, units, 4 * sizeof(float));
            s->x = arena_alloc(all, (uint64_t)m->embedding_dim + 3, input_size(m));
            s->q = m->int8 ? arena_alloc(all, units + 3, input_size(m)) : (unsigned char *)s->h;
        }
    }
    w->word = arena_alloc(all, word_room(m), 1);
    w->present = arena_alloc(all, (uint64_t)m->ngrams / 8 + 1, 1);
    w->values = arena_alloc(all, (uint64_t)(pooled_values(m) + m->ngram_dim), sizeof(float));
    w->logit = arena_alloc(all, (uint64_t)m->labels, sizeof(float));
}

/* Return where the first four bytes of the i-th row, a gate of a unit, lie in blocks of this size. */
static size_t packed_offset(const edge_lstm *m, size_t i, size_t block) {
    size_t lanes = (size_t)m->kernel->lanes, gate = i / (size_t)m->hidden, unit = i % (size_t)m->hidden;
    return unit / lanes * block + 4 * (gate * lanes + unit % lanes);
}

/* Pack weights for the kernel by blocks of units, filled up with zeros. fp32, [4H, inputs] → [input, gate, lane]. int8,
 * [inputs, 4H] → the sums of the columns, [gate, lane], then [group of inputs, gate, lane] of four bytes each: four
 * weights, or two of 16 bits. */
static void pack(const edge_lstm *m, const unsigned char *w, int32_t inputs, unsigned char *out) {
    int32_t width = group_width(m);
    size_t row = 16 * (size_t)m->kernel->lanes, gates = 4 * (size_t)m->hidden;
    for (size_t i = 0; i < gates; i++) {
        unsigned char *at = out + packed_offset(m, i, block_size(m, inputs));
        int32_t sum = 0;
        for (int32_t k = 0; k < inputs && !m->int8; k++)
            memcpy(at + row * (size_t)k, w + 4 * (i * (size_t)inputs + (size_t)k), 4);
        for (int32_t k = 0; k < inputs && m->int8; k++) {
            int16_t weight = (signed char)w[(size_t)k * gates + i];
            unsigned char *to = at + row * (size_t)(1 + k / width);
            sum += weight;
            if (width == 2) memcpy(to + 2 * (k % 2), &weight, 2);
            else to[k % 4] = (unsigned char)weight;
        }
        if (m->int8) memcpy(at, &sum, 4);
    }
}

static void pack_direction(edge_lstm *m, int32_t d) {
    direction *to = &m->of[d];
    size_t gates = 4 * (size_t)m->hidden, part = (m->int8 ? 1 : 4) * gates * (size_t)d;
    const unsigned char *bias = m->b + 8 * (size_t)d * gates;
    pack(m, m->w + part * (size_t)m->embedding_dim, m->embedding_dim, to->w);
    pack(m, m->r + part * (size_t)m->hidden, m->hidden, to->r);
    for (size_t i = 0, block = 16 * (size_t)m->kernel->lanes; i < gates; i++)
        to->bias[packed_offset(m, i, block) / 4] = load_f32(bias, i) + load_f32(bias, gates + i);
    if (!m->int8) return;
    to->w_by = m->embedding_step * load_f32(m->w_scale, (size_t)d), to->r_scale = load_f32(m->r_scale, (size_t)d);
}

enum { WORD_SEED = 1, PIECE_SEED = 2 };
static uint32_t hash_more(uint32_t hash, uint32_t byte) { return (hash ^ byte) * 16777619u; } /* FNV-1a */

#define TAG 0xFF000000u /* an index's entry: eight bits of the hash and a line's number, from 1; 0 where it is empty */
#define NUMBER 0x00FFFFFFu

/* Return the slot of the word or piece, or the empty slot for it. */
static uint32_t *find_line(const edge_lstm *m, const unsigned char *text, size_t size, uint32_t hash, int is_piece) {
    uint32_t slot = slot_of(hash, m->slot_mask), entry;
    for (; (entry = m->slots[slot]) != 0; slot = (slot + 1) & m->slot_mask) {
        uint32_t n = entry & NUMBER;
        if (((entry ^ hash) & TAG) == 0 && is_piece == (n > (uint32_t)m->words) &&
            m->starts[n] - m->starts[n - 1] - 1 == size &&
            !memcmp(m->metadata[VOCABULARY].at + m->starts[n - 1], text, size))
            break;
    }
    return m->slots + slot;
}

static int index_words(edge_lstm *m) {
    slice lines = m->metadata[VOCABULARY], line;
    for (int32_t n = 0; next_line(&lines, &line); n++) {
        uint32_t hash = n < m->words ? WORD_SEED : PIECE_SEED, size = (uint32_t)length_of(line);
        m->starts[n + 1] = m->starts[n] + size + 1;
        for (uint32_t i = 0; i < size; i++) hash = hash_more(hash, line.at[i]);
        uint32_t *slot = find_line(m, line.at, size, hash, n >= m->words);
        if (is_far(slot - m->slots, slot_of(hash, m->slot_mask), m->slot_mask)) return 0;
        *slot = (hash & TAG) | (uint32_t)(n + 1); /* the last counts */
    }
    return 1;
}

/* --- Text → ids ----------------------------------------------------------------------------------------------- */

/* A text while it becomes ids: the ids so far, and what was read of a word and not yet split into pieces. */
typedef struct {
    const edge_lstm *m;
    int32_t *id; /* [2 * length]; where it is full, the older half goes */
    unsigned char *word;
    size_t room, words, count, kept, size;
    uint32_t hash;        /* of the word */
    int known, in_pieces; /* known: a word of the vocabulary was found; in_pieces: the word is too long for it */
    int32_t last;         /* id of the word's last piece: unknown characters in a row share one */
} encoder;

static void push(encoder *e, int32_t id) {
    size_t length = (size_t)e->m->length;
    if (e->kept == 2 * length) memcpy(e->id, e->id + length, length * sizeof *e->id), e->kept = length;
    e->id[e->kept++] = id;
    e->count++;
    e->known |= id >= FIRST_WORD_ID;
}

/* Split off pieces until fewer than `keep` bytes are left: at each place the longest that starts there or,
 * where none does, one character. */
static void push_pieces(encoder *e, size_t keep) {
    size_t at = 0, most = (size_t)e->m->longest_piece;
    while (e->size - at >= keep && at < e->size) {
        const unsigned char *word = e->word + at;
        size_t left = e->size - at, length = 0, n = 0;
        uint32_t hash = PIECE_SEED, number = 0;
        do { /* one character more */
            do hash = hash_more(hash, word[n++]);
            while (n < left && (word[n] & 0xC0) == 0x80);
            uint32_t entry = *find_line(e->m, word, n, hash, 1);
            if (entry) number = entry & NUMBER;
            if (entry || !length) length = n;
        } while (n < left && n < most);
        int32_t id = number ? (int32_t)number - 1 + FIRST_WORD_ID : OOV_ID;
        if (number || e->last != OOV_ID) push(e, id);
        e->last = id;
        at += length;
    }
    memmove(e->word, e->word + at, e->size - at);
    e->size -= at;
}

static void push_word(encoder *e) {
    if (!e->size && !e->in_pieces) return;
    uint32_t entry = e->in_pieces ? 0 : *find_line(e->m, e->word, e->size, e->hash, 0);
    if (entry) push(e, (int32_t)(entry & NUMBER) - 1 + FIRST_WORD_ID);
    else push_pieces(e, 0);
    e->words++;
    e->size = 0, e->hash = WORD_SEED, e->in_pieces = 0, e->last = 0;
}

static void push_character(encoder *e, uint32_t c) {
    if (e->size + 4 > e->room) { /* longer than any word of the vocabulary */
        e->in_pieces = 1;
        push_pieces(e, (size_t)e->m->longest_piece);
    }
    for (size_t n = put_utf8(c, e->word + e->size); n; n--) e->hash = hash_more(e->hash, e->word[e->size++]);
}

/* Read letters of ASCII, the bulk of most texts, up to the first other character. */
static void push_letters(encoder *e, slice *text) {
    size_t room = e->room - e->size;
    const unsigned char *at = text->at, *end = room < length_of(*text) ? at + room : text->end;
    for (unsigned char small; at < end && (small = e->m->letter[*at]) != 0; at++) {
        e->word[e->size++] = small;
        e->hash = hash_more(e->hash, small);
    }
    text->at = at;
}

/* Return whether the next character that is not passed over is a cased letter. */
static int cased_follows(reader ahead) {
    for (uint32_t c; (c = next_character(&ahead)) != END_OF_TEXT;)
        if (sigma_context(c) != PASSED_OVER) return sigma_context(c) == CASED;
    return 0;
}

static const char *encode(edge_lstm_worker *w, reading *into, reader text) {
    const edge_lstm *m = w->model;
    size_t length = (size_t)m->length;
    int greek = text.json || (length_of(text.left) && memchr(text.left.at, 0xCE, length_of(text.left))); /* may hold Σ */
    int before = NEITHER; /* of the last character not passed over */
    encoder e = {m, into->id, w->word, word_room(m), 0, 0, 0, 0, WORD_SEED, 0, 0, 0};
    push(&e, START_ID);
    for (;;) {
        if (!greek) push_letters(&e, &text.left);
        uint32_t c = next_character(&text), small;
        if (c == END_OF_TEXT) break;
        if (c == 0x3A3 && before == CASED && !cased_follows(text)) small = 0x3C2; /* a final sigma */
        else small = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c | 32 : c) : c == 0x130 ? 'i' : to_lower(c);
        for (int32_t k = 0; k < m->specials && small >= 0x80; k++)
            if (m->special[k].character == small) small = m->special[k].becomes;
        unsigned char kind = small < 0x80 ? m->kind[small] : LETTER;
        if (kind != LETTER) push_word(&e);
        if (kind != SEPARATOR) push_character(&e, small);
        if (kind == MARK) push_word(&e);
        if (c == 0x130) push_character(&e, 0x307); /* İ becomes two */
        int now = greek ? sigma_context(c) : PASSED_OVER;
        if (now != PASSED_OVER) before = now;
    }
    push_word(&e);
    into->count = e.count < length ? e.count : length;
    memmove(e.id, e.id + e.kept - into->count, into->count * sizeof *e.id);
    if (!e.known) return e.words ? "unknown_words" : "empty";
    return e.count > length ? "truncated" : "ok";
}

/* --- Arithmetic ----------------------------------------------------------------------------------------------- */

/* Return a · b + c rounded once, on any machine, where the result is a normal number. The product is exact in double.
 * Rounding the sum to double and then to float is right unless the double lies in the middle of two floats: then what
 * the first rounding left decides, and the double is made odd to keep it (Boldo and Melquiond, "Emulation of FMA and
 * correctly rounded sums", 2008). */
#define IS_MIDDLE(low_bits) (((low_bits) & 0x1FFFFFFF) == 0x10000000)
static inline float multiply_add(float a, float b, float c) {
    double product = (double)a * (double)b, addend = (double)c, sum = product + addend;
    uint64_t bits;
    memcpy(&bits, &sum, 8);
    if (IS_MIDDLE(bits)) {
        double part = sum - product, rest = (product - (sum - part)) + (addend - part);
        if (rest != 0) bits = (rest > 0) == (sum > 0) ? bits + 1 : bits - 1;
        memcpy(&sum, &bits, 8);
    }
    return (float)sum;
}

/* The rational functions that ONNX Runtime computes (Eigen's); multiply-adds rounded once give its bits. Coefficients of
 * x², the highest power first; the numerator is times x. */
static const float SIGMOID_ABOVE[] = {4.37031012579801e-11f, 1.15627324459942e-07f, 6.08574864600143e-05f,
                                      8.51377133304701e-03f, 2.48287947061529e-01f};
static const float SIGMOID_BELOW[] = {6.10247389755681e-13f, 5.76102136993427e-09f, 6.29106785017040e-06f,
                                      1.70198817374094e-03f, 1.16817656904453e-01f, 9.93151921023180e-01f};
static const float TANH_ABOVE[] = {-2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
                                   1.48572235717979e-05f, 6.37261928875436e-04f, 4.89352455891786e-03f};
static const float TANH_BELOW[] = {1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f};

static inline float plain_sigmoid(float x); /* with the kernels */
static const kernel *find_kernel(const char *name, int32_t most, size_t number);

/* Return e^x for x ≤ 0; 0 below -87. Cephes' expf (netlib.org/cephes, single/expf.c) without fused operations: 2^n, where
 * n = x / ln 2 rounded, times a polynomial of the rest. */
static float exponential(float x) {
    static const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                              4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    if (!(x > -87.0f)) return 0;
    float n = round_half_even(x * 1.44269504088896341f), y = c[0];
    x -= n * 0.693359375f;
    x -= n * -2.12194440e-4f;
    for (int i = 1; i < 6; i++) y = y * x + c[i];
    y = y * (x * x) + x + 1.0f;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    memcpy(&n, &bits, 4);
    return y * n;
}

/* Return √n, rounded once: up to n = 2^17 no root is so near the middle of two floats that double could err. */
static float square_root(size_t n) {
    double root = n > 1024 ? 64 : 4;
    for (int i = 0; i < 12; i++) root = (root + (double)n / root) / 2;
    return (float)root;
}

/* Return ln x, x > 0: of 2^n · m it is n ln 2 + 2 artanh((m - 1) / (m + 1)), in double by the series of artanh. */
static double logarithm(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    double n = (double)(int)(bits >> 52) - 1023, sum = 0;
    bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    memcpy(&x, &bits, 8);
    x = (x - 1) / (x + 1);
    for (int k = 27; k > 0; k -= 2) sum = sum * x * x + 2.0 / k;
    return n * 0.693147180559945309 + sum * x;
}

static float weight_at(const edge_lstm *m, const unsigned char *w, size_t i) {
    return m->int8 ? (float)(signed char)w[i] : load_f32(w, i);
}

/* Add up the vectors of the text's n-ngram_ids, each once, and divide by the square root of its length. Sums of 2^17 int8
 * are exact. */
static void add_ngrams(edge_lstm_worker *w, const reading *r, float *out) {
    const edge_lstm *m = w->model;
    size_t width = (size_t)m->ngram_dim;
    float root = square_root(r->count);
    memset(w->present, 0, (size_t)m->ngrams / 8 + 1);
    memset(out, 0, sizeof *out * width);
    for (size_t i = 1; i < 2 * r->count; i++) { /* of each id the pair that ends there, then the id alone */
        size_t t = i / 2;
        size_t row = i % 2 ? *find_ngram(m, r->id[t], -1) : *find_ngram(m, r->id[t - 1], r->id[t]);
        if (!row-- || (w->present[row / 8] >> (row & 7) & 1)) continue;
        w->present[row / 8] |= (unsigned char)(1 << (row & 7));
        for (size_t j = 0; j < width; j++) out[j] += weight_at(m, m->vectors, row * width + j);
    }
    for (size_t j = 0; j < width; j++) out[j] = (m->int8 ? out[j] * load_f32(m->vector_scales, j) : out[j]) / root;
}

/* logit[l] = sum of values[j] · weight[j][l], in the order of j. */
static void multiply_head(const edge_lstm *m, const float *values, size_t inputs, float *restrict logit) {
    size_t logits = (size_t)m->logits;
    for (size_t l = 0; l < logits; l++) logit[l] = 0;
    for (size_t j = 0; j < inputs; j++) {
        float scale = m->int8 ? load_f32(m->head_scales, j) : 1;
        for (size_t l = 0; l < logits; l++) logit[l] += values[j] * (weight_at(m, m->head_weight, j * logits + l) * scale);
    }
    for (size_t l = 0; l < logits; l++) logit[l] += load_f32(m->head_bias, l);
}

/* Turn a text that was read to its end into probabilities. */
static void classify(edge_lstm_worker *w, const reading *r, float *probabilities) {
    const edge_lstm *m = w->model;
    int32_t hidden = m->hidden, pooled = pooled_values(m);
    float *logit = w->logit, most, sum = 0;
    for (int32_t d = 0; d < m->directions; d++) {
        const state *s = &r->of[d];
        float *out = w->values + d * hidden;
        for (int32_t j = 0; j < hidden; j++) {
            out[j] = m->last ? s->h[j] : s->sum[j] / (float)r->count;
            if (!m->last) out[m->directions * hidden + j] = s->most[j];
        }
    }
    if (m->ngrams) add_ngrams(w, r, w->values + pooled);
    multiply_head(m, w->values, (size_t)(pooled + m->ngram_dim), logit);
    if (m->logits == 1 || m->several) {
        for (int32_t l = 0; l < m->logits; l++) probabilities[l] = plain_sigmoid(logit[l]);
        if (m->logits == 1) probabilities[1] = probabilities[0], probabilities[0] = 1.0f - probabilities[1];
    } else {
        most = logit[0];
        for (int32_t l = 1; l < m->logits; l++) most = logit[l] > most ? logit[l] : most;
        for (int32_t l = 0; l < m->logits; l++) sum += logit[l] = exponential(logit[l] - most);
        for (int32_t l = 0; l < m->logits; l++) probabilities[l] = logit[l] / sum;
    }
}

/* Get a reading ready for its first step. */
static void reset_sequence(const edge_lstm *m, reading *r) {
    size_t size = sizeof(float) * (size_t)m->units;
    r->at = 0;
    for (int32_t d = 0; d < m->directions; d++) {
        state *s = &r->of[d];
        memset(s->c, 0, size), memset(s->h, 0, size), memset(s->sum, 0, size), memset(s->most, 0, size);
        s->low = s->high = 0, s->step = 1, s->zero = 0;
        if (m->int8) memset(s->q, m->kernel->inputs == S8 ? 128 : 0, (size_t)(m->units + 3) * input_size(m));
    }
}

/* Do one step of each reading; they do not affect each other. */
static void step_sequences(const edge_lstm *m, reading *readings, int count) {
    state *states[EDGE_LSTM_TEXTS];
    size_t inputs = (size_t)m->embedding_dim;
    for (int32_t d = 0; d < m->directions; d++) {
        for (int t = 0; t < count; t++) {
            reading *r = readings + t;
            size_t id = (size_t)r->id[d ? r->count - 1 - r->at : r->at];
            const unsigned char *row = m->embedding + (m->int8 ? 1 : 4) * id * inputs;
            unsigned char *x = (states[t] = &r->of[d])->x;
            if (!m->int8) memcpy(x, row, 4 * inputs);
            else if (m->kernel->inputs == S16)
                for (size_t k = 0; k < inputs; k++) ((int16_t *)(void *)x)[k] = (signed char)row[k];
            else /* a signed byte v is the unsigned byte v + 128 */
                for (size_t k = 0; k < inputs; k++) x[k] = row[k] ^ (m->kernel->inputs == S8 ? 0 : 0x80);
        }
        m->kernel->step(m, d, states, count);
    }
    for (int t = 0; t < count; t++) readings[t].at++;
}

/* --- The calls of edge_lstm.h --------------------------------------------------------------------------------- */

/* Check the file as far as that takes no memory. Return the bytes that the model needs, or 0 with *error set. */
static size_t read_model(edge_lstm *m, const void *file, size_t size, const char *name, int digest_counts,
                      const char **error) {
    static const uint16_t one = 1;
    memory all = memory_at(NULL);
    *error = file && size ? NULL : NOT_A_MODEL;
    if (!*(const unsigned char *)&one || sizeof(float) != 4) *error = "a machine of this byte order is not supported";
    if (!*error) *error = read_file(m, (slice){file, (const unsigned char *)file + size}, digest_counts);
    if (!*error) *error = read_tokenizer(m);
    if (!*error) *error = read_network(m);
    if (!*error) *error = find_weights(m);
    if (!*error) *error = read_labels(m);
    if (*error) return 0;
    m->kernel = find_kernel(name, m->max_abs_weight, 0);
    if (!m->kernel) *error = "this machine has no such kernel, or not for weights this large; leave it out";
    else lay_out_model(m, &all);
    return *error ? 0 : total(&all);
}

const char *edge_lstm_kernels(size_t i) {
    const kernel *k = find_kernel(NULL, 0, i);
    return k ? k->name : NULL;
}

size_t edge_lstm_needs(const void *file, size_t size, const char *kernel_name, const char **error) {
    edge_lstm m;
    return read_model(&m, file, size, kernel_name, 0, error);
}

edge_lstm *edge_lstm_open(const void *file, size_t size, const char *kernel_name, void *memory_given, size_t memory_size,
                          const char **error) {
    edge_lstm m;
    size_t needs = read_model(&m, file, size, kernel_name, 1, error);
    if (needs && (!memory_given || memory_size < needs))
        *error = "the memory is too small; edge_lstm_needs says how large it must be";
    if (*error) return NULL;
    memory all = memory_at(memory_given);
    edge_lstm *model = (edge_lstm *)(void *)all.base;
    memset(model, 0, needs / ALIGNMENT * ALIGNMENT);
    *model = m;
    lay_out_model(model, &all);
    for (int32_t d = 0; d < model->directions; d++) pack_direction(model, d);
    if (m.specials) read_rule(model, 0);
    for (uint32_t c = 0; c < 128; c++)
        if (model->kind[to_lower(c)] == LETTER) model->letter[c] = (unsigned char)to_lower(c);
    if (!index_words(model) || (m.ngrams && !read_ngrams(model))) return *error = CROWDED, NULL;
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
const char *edge_lstm_label(const edge_lstm *model, size_t i) { return i < (size_t)model->labels ? model->names[i] : ""; }
double edge_lstm_threshold(const edge_lstm *m, size_t i) { return m->several && i < (size_t)m->labels ? m->thresholds[i] : 0; }

const char *edge_lstm_metadata(const edge_lstm *m, const char *key, size_t *size) {
    slice value = entry_of(m->file, key);
    *size = length_of(value);
    return (const char *)value.at;
}

static reader plain_text(const char *text, size_t size) {
    return (reader){{(const unsigned char *)text, (const unsigned char *)text + size}, 0};
}

const char *edge_lstm_encode(edge_lstm_worker *w, const char *text, size_t size, const int32_t **ids, size_t *count) {
    const char *status = encode(w, w->readings, plain_text(text, size));
    *ids = w->readings->id, *count = w->readings->count;
    return status;
}

/* Run texts or, where texts is NULL, rows of ids. A reading that ends makes room for the next one. */
static void run_many(edge_lstm_worker *w, const char *const *texts, const size_t *sizes, const char **statuses,
                     const int32_t *ids, size_t columns, size_t count, float *probabilities) {
    reading *readings = w->readings;
    size_t next = 0;
    int active = 0;
    for (;;) {
        for (; active < EDGE_LSTM_TEXTS && next < count; next++) {
            reading *r = readings + active++;
            if (texts) {
                const char *status = encode(w, r, plain_text(texts[next], sizes[next]));
                if (statuses) statuses[next] = status;
            } else {
                memmove(r->id, ids + next * columns, columns * sizeof *ids);
                for (r->count = columns; r->count > 1 && !r->id[r->count - 1];) r->count--;
            }
            r->text = next;
            reset_sequence(w->model, r);
        }
        if (!active) return;
        step_sequences(w->model, readings, active);
        for (int t = active - 1; t >= 0; t--)
            if (readings[t].at == readings[t].count) { /* the last one takes its place */
                reading ended = readings[t];
                classify(w, &ended, probabilities + ended.text * (size_t)w->model->labels);
                readings[t] = readings[--active];
                readings[active] = ended;
            }
    }
}

const char *edge_lstm_predict(edge_lstm_worker *w, const char *text, size_t size, float *probabilities) {
    const char *status;
    run_many(w, &text, &size, &status, NULL, 0, 1, probabilities);
    return status;
}

void edge_lstm_predict_many(edge_lstm_worker *w, const char *const *texts, const size_t *sizes, size_t count,
                            float *probabilities, const char **statuses) {
    run_many(w, texts, sizes, statuses, NULL, 0, count, probabilities);
}

int edge_lstm_run(edge_lstm_worker *w, const int32_t *ids, size_t count, size_t columns, float *probabilities) {
    if (!columns || columns > (size_t)w->model->length) return 0;
    for (size_t i = 0; i < count * columns; i++)
        if (ids[i] < 0 || ids[i] > w->model->ids) return 0;
    run_many(w, NULL, NULL, NULL, ids, columns, count, probabilities);
    return 1;
}

double edge_lstm_unfamiliarity(edge_lstm_worker *w, const char *text, size_t size, const float *p) {
    const edge_lstm *m = w->model;
    reading *r = w->readings;
    double roots = 0, logs = 0;
    encode(w, r, plain_text(text, size));
    size_t first = r->id[0] == START_ID, tokens = r->count - first;
    for (int32_t l = 0; l < m->labels; l++) /* a NaN counts as 1 */
        roots += p[l] < 1 ? exponential((float)logarithm((double)p[l]) / 2) : 1;
    for (size_t i = first; i < r->count; i++) logs += logarithm(r->id[i] < FIRST_WORD_ID ? m->ids : r->id[i]);
    double rare = tokens ? logs / (double)tokens / logarithm(m->ids) : 1;
    return 2 * logarithm(roots) / logarithm(m->labels) + rare / 2;
}

double edge_lstm_unfamiliar_above(const edge_lstm *m, double share) {
    slice pairs, pair, value;
    double least, score, above = -1;
    if (!json_get(m->metadata[ABSTENTION], "unfamiliar", &pairs) || !json_enter(&pairs, '[')) return -1;
    while (json_next(&pairs, &pair) && json_enter(&pair, '[') && json_next(&pair, &value) && json_number(value, &least) &&
           least <= share && share < 1 && json_next(&pair, &value) && json_number(value, &score))
        above = score;
    return above;
}

/* Return whether a golden row's ids and probabilities come out here too. worst: the largest difference so far. */
static int check_row(edge_lstm_worker *w, slice row, float *worst) {
    slice text, ids, values, value;
    reading *r = w->readings;
    size_t labels = (size_t)w->model->labels;
    double expected;
    if (!json_get(row, "text", &text) || !json_get(row, "ids", &ids) || !json_enter(&ids, '[') ||
        !json_get(row, "probabilities", &values) || !json_enter(&values, '['))
        return 0;
    encode(w, r, json_string(text));
    int right = 1;
    for (size_t i = 0; i < r->count && right; i++)
        right = json_next(&ids, &value) && json_number(value, &expected) && expected == r->id[i];
    right &= !json_next(&ids, &value);
    run_many(w, NULL, NULL, NULL, r->id, r->count, 1, w->logit);
    for (size_t i = 0; i < labels; i++) {
        if (!json_next(&values, &value) || !json_number(value, &expected)) return 0;
        double apart = expected > (double)w->logit[i] ? expected - (double)w->logit[i] : (double)w->logit[i] - expected;
        right &= apart <= 1e-3;
        if (apart > (double)*worst) *worst = (float)apart;
    }
    return right;
}

size_t edge_lstm_check(edge_lstm_worker *w, size_t *rows, float *worst) {
    slice all = w->model->metadata[GOLDEN], row;
    size_t wrong = 0;
    *rows = 0, *worst = 0;
    if (all.at && json_enter(&all, '['))
        for (; json_next(&all, &row); ++*rows) wrong += !check_row(w, row, worst);
    return wrong;
}

/* --- Kernels: what differs between instruction sets. The rest, at the end of the file, is compiled for each --------- */

#ifndef __GNUC__ /* which clang defines too */
#define FAST static inline
#define UNROLL
#else
#define FAST static inline __attribute__((always_inline))
#define FOR(names) __attribute__((target(names)))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define NAME(name) JOINED(KERNEL, name)
#define LANES NAME(lanes)
#define BLOCKS NAME(blocks)
#define TEXTS NAME(texts)
#define INPUTS (0 + NAME(inputs))
#define floats NAME(floats)
#define ints NAME(ints)
#define SET(x) ((x) - (floats){0})

/* A kernel's name; its vectors' lanes, one a unit; how many blocks of units of a text, or how many texts, it
 * multiplies at a time; the type of its inputs; and the limit of its weights. */
#define SHAPE(name, l, b, t, i, limit)                                                         \
    enum { NAME(lanes) = l, NAME(blocks) = b, NAME(texts) = t, NAME(inputs) = i };             \
    static void NAME(step)(const edge_lstm *m, int d, state *const *states, int count);        \
    static const kernel NAME(kernel) = {name, l, i, limit, NAME(step)};

/* Plain C: one unit at a time. */
#define KERNEL plain
#define TARGET
#define VECTOR_OF(type, name) typedef type name
#define CONVERT(v, type) ((type)(v))
SHAPE("plain", 1, 1, 1, U8, 128)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#ifdef __FP_FAST_FMAF
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) multiply_add(a, b, c)
#endif
#if defined __ARM_FEATURE_DSP && defined __ARM_FEATURE_SIMD32 /* ARMv7 and Cortex-M4: two products at a time */
#include <arm_acle.h>
#define PAIR(w, x, sum) __smlad(__sxtb16((int8x4_t)(w)), (int16x2_t)__uxtb16((uint8x4_t)(x)), sum)
#define DOT(sum, w, x) PAIR(rotr32((uint32_t)(w), 8), rotr32((uint32_t)(x), 8), PAIR(w, x, sum))
#else
#define PRODUCT(w, x, bit) ((signed char)((uint32_t)(w) >> (bit) & 255) * (int32_t)((uint32_t)(x) >> (bit) & 255))
#define DOT(sum, w, x) ((sum) + PRODUCT(w, x, 0) + PRODUCT(w, x, 8) + PRODUCT(w, x, 16) + PRODUCT(w, x, 24))
#endif
#include "edge_lstm.c"
#undef MIN
#undef MAX
#undef FMA
#undef VECTOR_OF
#undef CONVERT
#define VECTOR_OF(type, name) typedef type name __attribute__((vector_size(LANES * sizeof(type))))
#define CONVERT(v, type) __builtin_convertvector(v, type)

#if defined __GNUC__ && defined __SSE2__
#include <cpuid.h>
#include <immintrin.h>
#define ANY(v) _mm_movemask_epi8((__m128i)(v))
#define TO_FLOATS(d) CONVERT(d, four_floats)
#elif defined __wasm_simd128__
#include <wasm_simd128.h>
#define ANY(v) wasm_v128_any_true((v128_t)(v))
#define HALF(d, i) wasm_f32x4_demote_f64x2_zero((v128_t)__builtin_shufflevector(d, d, 2 * i, 2 * i + 1))
#define TO_FLOATS(d) ((four_floats)wasm_i64x2_shuffle(HALF(d, 0), HALF(d, 1), 0, 2)) /* clang's conversion is slow */
#endif
#ifdef ANY
/* multiply_add in four lanes where the machine has no fused one; each lane alone where a double lies in the middle. */
typedef float four_floats __attribute__((vector_size(16)));
typedef int32_t four_ints __attribute__((vector_size(16)));
typedef int64_t four_longs __attribute__((vector_size(32)));
typedef double four_doubles __attribute__((vector_size(32)));
FAST four_floats fma_in_double(four_floats a, four_floats b, four_floats c) {
    four_doubles sum = CONVERT(a, four_doubles) * CONVERT(b, four_doubles) + CONVERT(c, four_doubles);
    four_floats rounded = TO_FLOATS(sum);
    if (ANY(IS_MIDDLE(CONVERT((four_longs)sum, four_ints))))
        for (int i = 0; i < 4; i++) rounded[i] = multiply_add(a[i], b[i], c[i]);
    return rounded;
}
#endif

#if defined __GNUC__ && defined __SSE2__
#define MIN JOINED(VECTOR, min_ps)
#define MAX JOINED(VECTOR, max_ps)

/* SSE2: products of 16 bits. */
#define KERNEL sse2
#define TARGET
#define VECTOR _mm
SHAPE("sse2", 4, 2, 2, S16, 128)
#define FMA(a, b, c) fma_in_double(a, b, c)
#define DOT(sum, w, x) ((sum) + (ints)_mm_madd_epi16((__m128i)(w), (__m128i)(x)))
#include "edge_lstm.c"
#undef VECTOR
#undef FMA
#define FMA JOINED(VECTOR, fmadd_ps)

/* AVX2, without and with the dot products of VNNI. Two products of 255 and 64 fit in 16 bits. */
#define KERNEL avx2
#define TARGET FOR("avx2,fma")
#define VECTOR _mm256
SHAPE("avx2", 8, 2, 2, U8, 64)
#define PAIRS(w, x) _mm256_maddubs_epi16((__m256i)(x), (__m256i)(w))
#define DOT(sum, w, x) ((sum) + (ints)_mm256_madd_epi16(PAIRS(w, x), _mm256_set1_epi16(1)))
#include "edge_lstm.c"
#if (defined __clang__ && __clang_major__ >= 12) || (!defined __clang__ && __GNUC__ >= 11)
#define AVX_VNNI
#define KERNEL avx_vnni
#define TARGET FOR("avx2,fma,avxvnni")
SHAPE("avx-vnni", 8, 2, 2, U8, 128)
#define DOT(sum, w, x) ((ints)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(x), (__m256i)(w)))
#include "edge_lstm.c"
#endif
#undef VECTOR

#define KERNEL avx512_vnni
#define TARGET FOR("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")
#define VECTOR _mm512
SHAPE("avx512-vnni", 16, 3, 4, U8, 128)
#define DOT(sum, w, x) ((ints)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w)))
#include "edge_lstm.c"

/* Return whether these registers are saved, and the processor has FMA and these bits of leaf 7 (EBX, ECX) and 7.1 (EAX). */
static int x86_has(uint32_t registers, uint32_t ebx, uint32_t ecx, uint32_t eax) {
    uint32_t a, b, c, d, leaves, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ~c & (1u << 27 | 1u << 12)) return 0; /* XGETBV, FMA */
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if (registers & ~saved || !__get_cpuid_count(7, 0, &leaves, &b, &c, &d) || ebx & ~b || ecx & ~c) return 0;
    return !eax || (leaves && __get_cpuid_count(7, 1, &a, &b, &c, &d) && !(eax & ~a));
}
#endif

#ifdef __aarch64__
#include <arm_neon.h>

/* NEON, without and with dot products. */
#define KERNEL neon
#define TARGET
SHAPE("neon", 4, 4, 4, S8, 127)
#define MIN vminnmq_f32
#define MAX vmaxnmq_f32
#define FMA(a, b, c) vfmaq_f32(c, a, b)
FAST int32x4_t neon_products(int32x4_t sum, int8x16_t w, int8x16_t x) { /* pairs of products fit in 16 bits */
    return vpadalq_s16(sum, vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x)));
}
#define DOT(sum, w, x) neon_products(sum, (int8x16_t)(w), (int8x16_t)(x))
#include "edge_lstm.c"
#if defined __ARM_FEATURE_DOTPROD || !defined __clang__ || __clang_major__ >= 16
#define KERNEL neon_dot
#define TARGET FOR("arch=armv8.2-a+dotprod")
SHAPE("neon-dot", 4, 4, 4, S8, 128)
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
/* WebAssembly: as SSE2. */
#define KERNEL wasm
#define TARGET
SHAPE("wasm-simd", 4, 2, 2, S16, 128)
#define MIN(a, b) ((floats)wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)))
#define MAX(a, b) ((floats)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))
#define FMA(a, b, c) fma_in_double(a, b, c)
#define DOT(sum, w, x) ((sum) + (ints)wasm_i32x4_dot_i16x8((v128_t)(w), (v128_t)(x)))
#include "edge_lstm.c"
#endif

/* Return the number-th kernel that runs here and takes weights up to most. name: the only one that counts, or NULL. */
static const kernel *find_kernel(const char *name, int32_t most, size_t number) {
    const kernel *const here[] = {
#if defined __GNUC__ && defined __SSE2__
        x86_has(0xE6, 0xC0010020u, 1u << 11, 0) ? &avx512_vnni_kernel : NULL, /* AVX512F, BW, VL; VNNI */
#ifdef AVX_VNNI
        x86_has(6, 1u << 5, 0, 1u << 4) ? &avx_vnni_kernel : NULL,
#endif
        x86_has(6, 1u << 5, 0, 0) ? &avx2_kernel : NULL, &sse2_kernel,
#endif
#ifdef HAS_DOT_PRODUCTS
        HAS_DOT_PRODUCTS ? &neon_dot_kernel : NULL,
#endif
#ifdef __aarch64__
        &neon_kernel,
#endif
#ifdef __wasm_simd128__
        &wasm_kernel,
#endif
        &plain_kernel};
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        if (here[i] && here[i]->limit >= most && (!name || !strcmp(name, here[i]->name)) && !number--)
            return here[i];
    return NULL;
}

#else /* --- The step of an LSTM, in the operations of KERNEL ----------------------------------------------------- */

VECTOR_OF(float, floats);
VECTOR_OF(int32_t, ints);
VECTOR_OF(int16_t, NAME(shorts));
VECTOR_OF(unsigned char, NAME(bytes));

TARGET FAST floats NAME(load)(const float *at) { return *(const floats *)(const void *)at; }
TARGET FAST void NAME(store)(float *at, floats value) { *(floats *)(void *)at = value; }

/* Round h to 8 bits over its range, in the kernel's type of inputs. */
TARGET FAST void NAME(round)(unsigned char *out, floats h, const state *s) {
    floats q = (h / SET(s->step) + SET(12582912.0f)) - SET(12582912.0f) + SET((float)s->zero); /* as round_half_even() */
    ints n = CONVERT(MIN(MAX(q, SET(0.0f)), SET(255.0f)), ints) - (INPUTS == U8 ? 0 : INPUTS == S8 ? 128 : s->zero); /* a NaN is 0 */
    if (INPUTS == S16) *(NAME(shorts) *)(void *)out = CONVERT(n, NAME(shorts));
    else *(NAME(bytes) *)(void *)out = CONVERT(n, NAME(bytes));
}

/* Return the polynomial with n coefficients, that of the highest power first. */
TARGET FAST floats NAME(polynomial)(floats x, const float *coefficients, const int n) {
    floats y = SET(coefficients[0]);
    UNROLL for (int i = 1; i < n; i++) y = FMA(y, x, SET(coefficients[i]));
    return y;
}

TARGET FAST floats NAME(sigmoid)(floats x) {
    x = MIN(MAX(x, SET(-18.0f)), SET(18.0f));
    floats above = NAME(polynomial)(x * x, SIGMOID_ABOVE, 5) * x, below = NAME(polynomial)(x * x, SIGMOID_BELOW, 6);
    return MIN(MAX(above / below + SET(0.5f), SET(0.0f)), SET(1.0f));
}

TARGET FAST floats NAME(tanh)(floats x) {
    x = MIN(MAX(x, SET(-9.0f)), SET(9.0f));
    return NAME(polynomial)(x * x, TANH_ABOVE, 7) * x / NAME(polynomial)(x * x, TANH_BELOW, 4);
}

/* Compute or (from_h) add to the gates of some blocks of units and some texts: integer sums, which stay in registers,
 * times their scale. first: the number of the first block. */
TARGET FAST void NAME(tile)(const unsigned char *w, size_t stride, int32_t groups, state *const *states, int32_t first,
                            const int texts, const int blocks, const int from_h, float by) {
    ints sum[4 * (TEXTS > BLOCKS ? TEXTS : BLOCKS)], x[TEXTS];
    int i, t;
#define ROW(i) (*(const ints *)(const void *)(w + (size_t)((i) / 4) * stride + (size_t)((i) % 4) * 4 * LANES))
    w += (size_t)first * stride;
    UNROLL for (i = 0; i < 4 * blocks; i++) UNROLL for (t = 0; t < texts; t++)
        sum[i * texts + t] = INPUTS == S16 ? (ints){0} : ROW(i) * ((INPUTS == S8 ? 128 : 0) - (from_h ? states[t]->zero : 128));
    w += 16 * LANES;
    for (int32_t k = 0; k < groups; k++, w += 16 * LANES) {
        UNROLL for (t = 0; t < texts; t++) {
            int32_t four;
            memcpy(&four, (from_h ? states[t]->q : states[t]->x) + 4 * k, 4);
            x[t] = four - (ints){0};
        }
        UNROLL for (i = 0; i < 4 * blocks; i++) {
            ints v = ROW(i);
            UNROLL for (t = 0; t < texts; t++) sum[i * texts + t] = DOT(sum[i * texts + t], v, x[t]);
        }
    }
    UNROLL for (t = 0; t < texts; t++) {
        float *out = states[t]->gates + first * 4 * LANES;
        floats worth = SET(from_h ? states[t]->step * by : by);
        UNROLL for (i = 0; i < 4 * blocks; i++, out += LANES) {
            floats product = CONVERT(sum[i * texts + t], floats) * worth;
            NAME(store)(out, from_h ? NAME(load)(out) + product : product);
        }
    }
}

TARGET FAST void NAME(multiply)(const edge_lstm *m, const unsigned char *w, int32_t inputs, state *const *states,
                                int count, const int from_h, float by) {
    int32_t groups = groups_of(m, inputs), first, blocks = m->units / LANES;
    size_t stride = block_size(m, inputs);
    for (; TEXTS > 1 && count >= TEXTS; count -= TEXTS, states += TEXTS)
        for (first = 0; first < blocks; first++)
            NAME(tile)(w, stride, groups, states, first, TEXTS, 1, from_h, by);
    for (; count; count--, states++) {
        for (first = 0; first + BLOCKS <= blocks; first += BLOCKS)
            NAME(tile)(w, stride, groups, states, first, 1, BLOCKS, from_h, by);
        for (; BLOCKS > 1 && first < blocks; first++) NAME(tile)(w, stride, groups, states, first, 1, 1, from_h, by);
    }
}

/* fp32: compute the gates, or add to them, the sum of x[k] · w[k] in the order of k. */
TARGET FAST void NAME(multiply_float)(const edge_lstm *m, const unsigned char *packed, const float *x, int32_t inputs,
                                      float *gates, const int add) {
    const float *w = (const float *)(const void *)packed, *end = gates + 4 * m->units;
    int i;
    for (; gates < end; gates += 4 * LANES) {
        floats sum[4] = {SET(0.0f), SET(0.0f), SET(0.0f), SET(0.0f)};
        for (int32_t k = 0; k < inputs; k++, w += 4 * LANES)
            UNROLL for (i = 0; i < 4; i++) sum[i] += SET(x[k]) * NAME(load)(w + i * LANES);
        UNROLL for (i = 0; i < 4; i++)
            NAME(store)(gates + i * LANES, add ? NAME(load)(gates + i * LANES) + sum[i] : sum[i]);
    }
}

/* Return the largest of a vector's floats. */
TARGET FAST float NAME(max_lane)(floats v) {
    float x[LANES];
    memcpy(x, &v, sizeof x);
    UNROLL for (int n = LANES / 2; n; n /= 2)
        UNROLL for (int i = 0; i < n; i++) x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
    return x[0];
}

/* Compute c and h from the gates, what the head reads of h, and h rounded for the next step. */
TARGET FAST void NAME(cell)(const edge_lstm *m, const float *bias, state *s) {
    floats low = SET(0.0f), high = SET(0.0f);
#define GATE(i) (NAME(load)(s->gates + 4 * j + (i)*LANES) + NAME(load)(bias + 4 * j + (i)*LANES))
    for (int32_t j = 0; j < m->units; j += LANES) {
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
    if (!m->int8) return;
    float least = -NAME(max_lane)(-low), most = NAME(max_lane)(high);
    if (least != s->low || most != s->high) {
        s->low = least, s->high = most;
        find_scale(least, most, &s->step, &s->zero);
    }
    for (int32_t j = 0; j < m->units; j += LANES) NAME(round)(s->q + (size_t)j * input_size(m), NAME(load)(s->h + j), s);
}

TARGET static void NAME(step)(const edge_lstm *m, int d, state *const *states, int count) {
    const direction *of = &m->of[d];
    if (m->int8) {
        NAME(multiply)(m, of->w, m->embedding_dim, states, count, 0, of->w_by);
        NAME(multiply)(m, of->r, m->hidden, states, count, 1, of->r_scale);
    } else
        for (int t = 0; t < count; t++) {
            NAME(multiply_float)(m, of->w, (const float *)(const void *)states[t]->x, m->embedding_dim, states[t]->gates, 0);
            NAME(multiply_float)(m, of->r, states[t]->h, m->hidden, states[t]->gates, 1);
        }
    for (int t = 0; t < count; t++) NAME(cell)(m, of->bias, states[t]);
}

#undef KERNEL
#undef TARGET
#undef DOT
#endif
