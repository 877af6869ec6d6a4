/* Reads rows of CSV as Python's csv module does, and writes them as edge-lstm does: a cell has
 * quotes only if it needs them. Reads lines of text, too. */
#ifndef EDGE_LSTM_CSV_H
#define EDGE_LSTM_CSV_H

#include "rows.h"

/* The form of the rows.
 * text: the column of the text.
 * places: for each column the place of its cell among the values, or -1. */
typedef struct {
    unsigned char delimiter;
    size_t num_columns;
    size_t text;
    const int *places;
    size_t num_values;
} csv_form;

/* A reader of rows. It refuses a row with another number of cells, with a quote or a carriage
 * return in a cell without quotes, or whose text is not UTF-8. */
row_reader csv_reader(const csv_form *form);

/* A reader of lines, each of which is a text. It refuses a line that is not UTF-8. A row has no
 * values, and its items are empty. */
row_reader text_reader(void);

#endif
