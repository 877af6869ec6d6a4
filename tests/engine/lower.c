/* lower: of every code point its lower case, and the property that counts next to a sigma. */
#include "edge_lstm.c"

#include <stdio.h>

int main(void) {
    uint32_t c;
    for (c = 0; c < 0x110000; c++) printf("%u %d\n", (unsigned)to_lower(c), (int)case_property(c));
    return 0;
}
