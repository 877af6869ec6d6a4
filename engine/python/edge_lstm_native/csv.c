/* Rows of CSV, and lines of text; csv.h says what is read and what is written. */
#include "csv.h"

#include <string.h>

/* A row that is being read, and its form as it is written. */
typedef struct {
    const char *at;
    const char *end;
    unsigned char *out;
    const csv_form *form;
    int is_as_written;
} csv_line;

/* A cell. content: of a quoted one, between the quotes. */
typedef struct {
    slice content;
    slice written;
    int has_doubled; /* quotes, of which each stands for one */
} csv_cell;

static const char *find(const char *at, const char *end, char c) {
    return memchr(at, c, (size_t)(end - at));
}

/* Return the end of the first row: a newline that is not within quotes. */
static const char *row_end(const char *at, const char *stop) {
    int is_open = 0;
    for (;;) {
        const char *newline = find(at, stop, '\n');
        if (!newline)
            return NULL;
        while ((at = find(at, newline, '"')) != NULL) {
            is_open = !is_open;
            at++;
        }
        if (!is_open)
            return newline;
        at = newline + 1;
    }
}

static int needs_quotes(slice content, char delimiter) {
    const char *end = content.at + content.size;
    return find(content.at, end, delimiter) || find(content.at, end, '\n') ||
           find(content.at, end, '\r');
}

/* Read a cell that begins with a quote. */
static int read_quoted(csv_line *l, csv_cell *cell) {
    const char *start = l->at;
    const char *at = start + 1;
    cell->has_doubled = 0;
    for (;;) {
        at = find(at, l->end, '"');
        if (!at)
            return 0;
        if (at + 1 == l->end || at[1] != '"')
            break;
        cell->has_doubled = 1;
        at += 2;
    }
    cell->content = (slice){start + 1, (size_t)(at - start) - 1};
    cell->written = (slice){start, (size_t)(at - start) + 1};
    if (!cell->has_doubled && !needs_quotes(cell->content, l->form->delimiter)) {
        cell->written = cell->content;
        l->is_as_written = 0;
    }
    l->at = at + 1;
    return 1;
}

static int read_plain(csv_line *l, csv_cell *cell) {
    const char *start = l->at;
    const char *stop = find(start, l->end, l->form->delimiter);
    l->at = stop ? stop : l->end;
    cell->content = (slice){start, (size_t)(l->at - start)};
    cell->written = cell->content;
    cell->has_doubled = 0;
    return !find(start, l->at, '"') && !find(start, l->at, '\r');
}

static void put(csv_line *l, slice bytes) {
    memcpy(l->out, bytes.at, bytes.size);
    l->out += bytes.size;
}

/* Write the content of a cell with one quote for two. */
static slice undoubled(csv_line *l, slice content) {
    const char *at = content.at;
    const char *end = at + content.size;
    const char *start = (const char *)l->out;
    while (at < end) {
        const char *quote = find(at, end, '"');
        const char *stop = quote ? quote + 1 : end;
        put(l, (slice){at, (size_t)(stop - at)});
        at = quote ? quote + 2 : end;
    }
    return (slice){start, (size_t)((const char *)l->out - start)};
}

/* Read the cells of a row, and write them one after the other. */
static int read_cells(csv_line *l, slice *values, csv_cell *text) {
    const csv_form *form = l->form;
    for (size_t column = 0;; column++) {
        csv_cell cell;
        int is_quoted = l->at < l->end && *l->at == '"';
        if (column == form->num_columns)
            return 0;
        if (!(is_quoted ? read_quoted(l, &cell) : read_plain(l, &cell)))
            return 0;
        if (column == form->text)
            *text = cell;
        if (form->places[column] >= 0)
            values[form->places[column]] = cell.written;
        put(l, cell.written);
        if (l->at == l->end)
            return column + 1 == form->num_columns;
        if (*l->at != form->delimiter)
            return 0;
        put(l, (slice){&form->delimiter, 1});
        l->at++;
    }
}

static slice without_return(slice line) {
    if (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    return line;
}

static int read_row(const void *form, slice line, unsigned char **memory, table_row *row,
                    slice *values) {
    csv_line l;
    csv_cell text;
    line = without_return(line);
    l.at = line.at;
    l.end = line.at + line.size;
    l.out = *memory;
    l.form = form;
    l.is_as_written = 1;
    if (!read_cells(&l, values, &text) || !is_utf8(text.content))
        return 0;
    row->items = line;
    if (l.is_as_written)
        l.out = *memory; /* the row's own bytes do */
    else
        row->items = (slice){(const char *)*memory, (size_t)(l.out - *memory)};
    row->text = text.has_doubled ? undoubled(&l, text.content) : text.content;
    *memory = l.out;
    return 1;
}

/* A row is written in no more bytes than it has, and its text once more. */
row_reader csv_reader(const csv_form *form) {
    return (row_reader){row_end, read_row, form, form->num_values, 2, 0};
}

static int read_text(const void *form, slice line, unsigned char **memory, table_row *row,
                     slice *values) {
    (void)form;
    (void)memory;
    (void)values;
    row->text = without_return(line);
    row->items = (slice){line.at, 0};
    return is_utf8(row->text);
}

row_reader text_reader(void) {
    return (row_reader){line_end, read_text, NULL, 0, 0, 0};
}
