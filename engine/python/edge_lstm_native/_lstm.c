#include "edge_lstm.c" /* of engine/, in a file of its own: it includes itself for each kernel */
