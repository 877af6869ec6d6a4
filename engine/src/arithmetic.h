/* Functions of numbers, whose results are the same bits on every machine. The LSTM's steps use only
 * multiply_add, and the coefficients of sigmoid and tanh, which lstm_step.h applies to vectors. */
#ifndef EDGE_LSTM_ARITHMETIC_H
#define EDGE_LSTM_ARITHMETIC_H

#include "compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Rotate the bits to the right by n, from 1 to 31. */
ALWAYS_INLINE uint32_t rotr32(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

/* 1.5 * 2^23: a float of this size has no bits behind the point, so adding it rounds. */
#define ROUND_TO_INTEGER 12582912.0f

/* Return the i-th of floats that may lie at any address. */
ALWAYS_INLINE float load_f32(const unsigned char *floats, size_t i) {
    float value;
    memcpy(&value, floats + sizeof value * i, sizeof value);
    return value;
}

/* Round to the nearest integer, half to even; |x| < 2^22. */
static float round_half_even(float x) {
    return (x + ROUND_TO_INTEGER) - ROUND_TO_INTEGER;
}

/* Find the 8-bit scale and zero point of a range that includes 0. */
static void find_scale(float low, float high, float *scale, int32_t *zero_point) {
    *scale = low == high ? 1.0f : (high - low) / 255.0f;
    float zero = -low / *scale;
    if (!(zero > 0.0f))
        zero = 0.0f; /* a NaN becomes 0 too */
    if (zero > 255.0f)
        zero = 255.0f;
    *zero_point = (int32_t)round_half_even(zero);
}

/* True if a double with these low bits lies in the middle of two floats. */
#define IS_MIDDLE(low_bits) (((low_bits) & 0x1FFFFFFF) == 0x10000000)

/* Return a * b + c rounded once, on any machine, if the result is a normal number.
 *
 * The product is exact in double. Rounding the sum to double and then to float is right unless the
 * double lies in the middle of two floats. Then the rest of the first rounding decides, and the
 * double is made odd to keep it (Boldo and Melquiond, "Emulation of FMA and correctly rounded
 * sums", 2008). */
static inline float multiply_add(float a, float b, float c) {
    double product = (double)a * (double)b;
    double addend = (double)c;
    double sum = product + addend;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (IS_MIDDLE(bits)) {
        double part = sum - product;
        double rest = (product - (sum - part)) + (addend - part);
        if (rest != 0) {
            int is_away_from_zero = (rest > 0) == (sum > 0);
            bits = is_away_from_zero ? bits + 1 : bits - 1;
        }
        memcpy(&sum, &bits, sizeof bits);
    }
    return (float)sum;
}

/* The rational functions that ONNX Runtime computes (Eigen's); multiply-adds rounded once give its
 * bits. Coefficients of x², the highest power first; the numerator is times x. */
enum {
    SIGMOID_NUMERATOR_TERMS = 5,
    SIGMOID_DENOMINATOR_TERMS = 6,
    TANH_NUMERATOR_TERMS = 7,
    TANH_DENOMINATOR_TERMS = 4
};
static const float SIGMOID_NUMERATOR[SIGMOID_NUMERATOR_TERMS] = {
    4.37031012579801e-11f, 1.15627324459942e-07f, 6.08574864600143e-05f, 8.51377133304701e-03f,
    2.48287947061529e-01f};
static const float SIGMOID_DENOMINATOR[SIGMOID_DENOMINATOR_TERMS] = {
    6.10247389755681e-13f, 5.76102136993427e-09f, 6.29106785017040e-06f,
    1.70198817374094e-03f, 1.16817656904453e-01f, 9.93151921023180e-01f};
static const float TANH_NUMERATOR[TANH_NUMERATOR_TERMS] = {
    -2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
    1.48572235717979e-05f,  6.37261928875436e-04f, 4.89352455891786e-03f};
static const float TANH_DENOMINATOR[TANH_DENOMINATOR_TERMS] = {
    1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f};
#define SIGMOID_LIMIT 18.0f /* farther from 0, sigmoid and tanh have reached their limits */
#define TANH_LIMIT 9.0f

/* Return e^x for x <= 0; 0 below -87. Cephes' expf (netlib.org/cephes, single/expf.c) without fused
 * operations: 2^n, for n = x / ln 2 rounded, times a polynomial of the rest. */
static float exponential(float x) {
    static const float coefficients[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                         4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    const float lowest = -87.0f; /* below, e^x is no normal float */
    const float log2_e = 1.44269504088896341f;
    const float ln2_high = 0.693359375f; /* ln 2 in two parts; products with the first are exact */
    const float ln2_low = -2.12194440e-4f;
    if (!(x > lowest))
        return 0;
    float n = round_half_even(x * log2_e);
    x -= n * ln2_high;
    x -= n * ln2_low;
    float y = coefficients[0];
    for (int i = 1; i < 6; i++)
        y = y * x + coefficients[i];
    y = y * (x * x) + x + 1.0f;
    int32_t bits = ((int32_t)n + 127) * (1 << 23); /* of the float 2^n */
    float power;
    memcpy(&power, &bits, sizeof power);
    return y * power;
}

/* Return the square root of n, rounded once, by Newton's method: up to n = 2^17 no root is so near
 * the middle of two floats that double could err. */
static float square_root(size_t n) {
    double root = n > 1024 ? 64 : 4;
    for (int i = 0; i < 12; i++)
        root = (root + (double)n / root) / 2;
    return (float)root;
}

/* Return ln x for x > 0. Of x = 2^n * m it is n ln 2 + 2 artanh((m - 1) / (m + 1)), in double by
 * the series of artanh. */
static double logarithm(double x) {
    const double ln2 = 0.693147180559945309;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    double n = (double)(int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u; /* of m */
    double m;
    memcpy(&m, &bits, sizeof m);
    double z = (m - 1) / (m + 1);
    double sum = 0;
    for (int k = 27; k > 0; k -= 2)
        sum = sum * z * z + 2.0 / k;
    return n * ln2 + sum * z;
}

#endif
