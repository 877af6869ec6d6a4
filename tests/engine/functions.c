/* functions STEP: the largest errors of the engine's functions over every STEP-th float, and what must be exact. */
#include "edge_lstm.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static float of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

int main(int count, char **arguments) {
    uint32_t step = count > 1 ? (uint32_t)atoi(arguments[1]) : 1001, i, wrong = 0;
    uint64_t state = 88172645463325252u;
    double sigmoid = 0, tangent = 0, power = 0, natural = 0, apart;
    size_t n;
    for (i = 0; i < 0x41A00000u; i += step) { /* from 0 to 20 */
        float x = of_bits(i);
        int sign;
        for (sign = 0; sign < 2; sign++, x = -x) {
            apart = fabs((double)plain_sigmoid(x) - 1 / (1 + exp(-(double)x)));
            if (apart > sigmoid) sigmoid = apart;
            apart = fabs((double)plain_tanh(x) - tanh((double)x));
            if (apart > tangent) tangent = apart;
        }
    }
    for (i = 0; i < 0x42AE0000u; i += step) { /* from 0 to 87 */
        double x = -(double)of_bits(i);
        apart = fabs((double)exponential((float)x) / exp(x) - 1);
        if (apart > power) power = apart;
    }
    for (i = 1; i < 0x4B800001u; i += step) { /* from the least to 2^24 */
        apart = fabs(logarithm((double)of_bits(i)) - log((double)of_bits(i)));
        if (apart > natural) natural = apart;
    }
    for (n = 1; n <= MAX_LENGTH; n++) wrong += square_root(n) != sqrtf((float)n);
    for (i = 0; i < 20000000; i++) { /* sums of which most lie near the middle of two floats */
        float a, b, c;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        a = of_bits(0x3F800000u | (uint32_t)(state & 0x7FFFFF)), b = of_bits(0x3F800000u | (uint32_t)(state >> 23 & 0x7FFFFF));
        c = of_bits((uint32_t)(state >> 46 & 1) << 31 | (103u + (uint32_t)(state >> 47 & 63)) << 23);
        wrong += multiply_add(a, b, c) != fmaf(a, b, c);
        b = of_bits(0x3F800000u | (uint32_t)(state >> 23 & 7) << 20), c = of_bits((103u - (uint32_t)(state >> 47 & 15)) << 23);
        wrong += multiply_add(a, b, c) != fmaf(a, b, c) || multiply_add(a, b, -c) != fmaf(a, b, -c);
    }
    printf("%.3g %.3g %.3g %.3g %u\n", sigmoid, tangent, power, natural, wrong);
    return 0;
}
