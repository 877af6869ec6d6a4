/* Rows of CSV, and lines of text; csv.h says what is read and what is written. */
#include "csv.h"

/* A row that is being read, and its form as it is written. */
typedef struct {
    slice left;
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

/* Return the end of the first row: a newline that is not within quotes. */
static const unsigned char *row_end(slice rows) {
    int is_open = 0;
    for (;;) {
        const unsigned char *newline = line_end(rows);
        if (!newline)
            return NULL;
        const unsigned char *quote = find_byte((slice){rows.at, newline}, '"');
        while (quote) {
            is_open = !is_open;
            quote = find_byte((slice){quote + 1, newline}, '"');
        }
        if (!is_open)
            return newline;
        rows.at = newline + 1;
    }
}

static int needs_quotes(slice content, unsigned char delimiter) {
    return find_byte(content, delimiter) || find_byte(content, '\n') || find_byte(content, '\r');
}

/* Read a cell that begins with a quote. */
static int read_quoted(csv_line *l, csv_cell *cell) {
    const unsigned char *start = l->left.at;
    l->left.at++;
    cell->has_doubled = 0;
    for (;;) {
        const unsigned char *quote = find_byte(l->left, '"');
        if (!quote)
            return 0;
        l->left.at = quote + 1;
        if (!accept_char(&l->left, '"'))
            break;
        cell->has_doubled = 1;
    }
    cell->content = (slice){start + 1, l->left.at - 1};
    cell->written = (slice){start, l->left.at};
    if (!cell->has_doubled && !needs_quotes(cell->content, l->form->delimiter)) {
        cell->written = cell->content;
        l->is_as_written = 0;
    }
    return 1;
}

static int read_plain(csv_line *l, csv_cell *cell) {
    const unsigned char *delimiter = find_byte(l->left, l->form->delimiter);
    slice content = {l->left.at, delimiter ? delimiter : l->left.end};
    cell->content = content;
    cell->written = content;
    cell->has_doubled = 0;
    l->left.at = content.end;
    return !find_byte(content, '"') && !find_byte(content, '\r');
}

/* Write the content of a cell with one quote for two. Return where it was written. */
static slice put_undoubled(csv_line *l, slice content) {
    const unsigned char *start = l->out;
    while (content.at < content.end) {
        const unsigned char *quote = find_byte(content, '"');
        slice run = {content.at, quote ? quote + 1 : content.end};
        l->out = put_slice(run, l->out);
        content.at = quote ? quote + 2 : content.end;
    }
    return (slice){start, l->out};
}

/* Read the cells of a row, and write them one after the other. */
static int read_cells(csv_line *l, slice *values, csv_cell *text) {
    const csv_form *form = l->form;
    for (size_t column = 0; column < form->num_columns; column++) {
        csv_cell cell;
        int is_quoted = l->left.at < l->left.end && *l->left.at == '"';
        int is_read = is_quoted ? read_quoted(l, &cell) : read_plain(l, &cell);
        if (!is_read)
            return 0;
        if (column == form->text)
            *text = cell;
        if (form->places[column] >= 0)
            values[form->places[column]] = cell.written;
        l->out = put_slice(cell.written, l->out);
        if (l->left.at == l->left.end)
            return column + 1 == form->num_columns;
        if (*l->left.at != form->delimiter)
            return 0;
        *l->out = form->delimiter;
        l->out++;
        l->left.at++;
    }
    return 0;
}

static slice without_return(slice line) {
    if (line.at < line.end && line.end[-1] == '\r')
        line.end--;
    return line;
}

static int read_row(const void *form, slice line, unsigned char **memory, table_row *row,
                    slice *values) {
    csv_line l = {without_return(line), *memory, form, 1};
    csv_cell text;
    row->items = l.left;
    if (!read_cells(&l, values, &text) || !is_utf8(text.content))
        return 0;
    if (l.is_as_written)
        l.out = *memory; /* the row's own bytes do */
    else
        row->items = (slice){*memory, l.out};
    row->text = text.has_doubled ? put_undoubled(&l, text.content) : text.content;
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
    row->items = (slice){line.at, line.at};
    return is_utf8(row->text);
}

row_reader text_reader(void) {
    return (row_reader){line_end, read_text, NULL, 0, 0, 0};
}
