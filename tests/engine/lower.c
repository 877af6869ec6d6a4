/* lower: of every code point its lower case, and what it is to a sigma at its side. */
#include "edge_lstm.c"

#include <stdio.h>

int main(void) {
    uint32_t c;
    for (c = 0; c < 0x110000; c++) printf("%u %d\n", (unsigned)to_lower(c), sigma_context(c));
    return 0;
}
