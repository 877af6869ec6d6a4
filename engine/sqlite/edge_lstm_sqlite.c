/* Functions for SQL, a loadable extension of SQLite; docs/how-to/sql.md describes them.
 *
 * A schema may be a stranger's. So no file is looked at unless allow_model or EDGE_LSTM_MODEL named
 * it, and only a statement can call allow_model. A model argument "path#digest" is the file with
 * this SHA-256. Without one an answer depends on the environment: the function is not deterministic
 * then, and SQLite takes it neither in an index nor in a generated column. */
#define _POSIX_C_SOURCE 200809L
#include "../edge_lstm.c"

#include <sqlite3ext.h>
#include <stdarg.h>
SQLITE_EXTENSION_INIT1

#include "answer.h"
#include "model.h"

enum { OLDEST_SQLITE = 3031000 }; /* it has SQLITE_DIRECTONLY */

typedef struct {
    model *models;
    int users;           /* functions that SQLite has to give back */
    char default_path[]; /* empty if there is none */
} connection;

static void leave(void *shared) {
    connection *c = shared;
    c->users--;
    if (c->users > 0)
        return;
    for (model *m = c->models; m; m = c->models) {
        c->models = m->next;
        close_model(m);
    }
    sqlite3_free(c);
}

/* Give an error of one line, in SQLite's own format. Return NULL. */
static void *fail(sqlite3_context *context, const char *format, ...) {
    va_list values;
    va_start(values, format);
    char *message = sqlite3_vmprintf(format, values);
    va_end(values);
    for (char *at = message; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
    sqlite3_result_error(context, message ? message : OUT_OF_MEMORY, -1);
    sqlite3_free(message);
    return NULL;
}

static model *open_model(sqlite3_context *context, const char *path) {
    connection *c = sqlite3_user_data(context);
    model *m = sqlite3_malloc64(sizeof *m + strlen(path) + 1);
    if (!m)
        return fail(context, OUT_OF_MEMORY);
    memset(m, 0, sizeof *m);
    strcpy(m->path, path);
    const char *error = start(m);
    if (error) {
        close_model(m);
        return fail(context, "the model %!.200s: %s", path, error);
    }
    m->next = c->models;
    c->models = m;
    return m;
}

static model *find_model(const connection *c, slice path) {
    model *m = c->models;
    while (m && !slice_equals(path, m->path))
        m = m->next;
    return m;
}

/* Return the model that an argument names; NULL after an error. given: NULL for the default. */
static model *model_of(sqlite3_context *context, sqlite3_value *given) {
    connection *c = sqlite3_user_data(context);
    const char *name = given ? (const char *)sqlite3_value_text(given) : c->default_path;
    if (!name || !*name)
        return fail(context, "name a model, or set EDGE_LSTM_MODEL");
    const char *digest = strrchr(name, '#');
    if (digest && strlen(digest) != 1 + SHA256_DIGITS)
        digest = NULL;
    slice path = slice_of(name, digest ? (size_t)(digest - name) : strlen(name));
    model *m = find_model(c, path);
    if (!m && !slice_equals(path, c->default_path))
        return fail(context, "the model %!.200Q is not allowed: SELECT allow_model(path)", name);
    if (!m)
        m = open_model(context, c->default_path);
    if (m && digest && strcmp(digest + 1, m->digest) != 0)
        return fail(context, "%!.200s has the digest %s now: reindex with it", m->path, m->digest);
    return m;
}

/* Answer a text: its probabilities and status are in the model. Return NULL if the result is set:
 * NULL for NULL, or an error. */
static model *answer(sqlite3_context *context, sqlite3_value *given, sqlite3_value *name) {
    model *m = model_of(context, name);
    if (!m || sqlite3_value_type(given) == SQLITE_NULL)
        return NULL;
    if (sqlite3_value_type(given) != SQLITE_TEXT)
        return fail(context, "it classifies text, not a number or a blob; CAST it AS TEXT");
    const char *text = (const char *)sqlite3_value_text(given);
    size_t size = (size_t)sqlite3_value_bytes(given);
    if (!text)
        return fail(context, OUT_OF_MEMORY);
    if (!m->is_kept || size != m->size || memcmp(text, m->text, size) != 0) {
        m->is_kept = 0;
        if (!is_utf8(slice_of(text, size)))
            return fail(context, "the text is not UTF-8");
        m->status = edge_lstm_predict(m->worker, text, size, m->probabilities);
        if (strcmp(m->status, "error") == 0)
            return fail(context, "the text is not the JSON object that %!.200s reads", m->path);
        if (!are_probabilities(m->probabilities, m->labels))
            return fail(context, "%!.200s gives values that are not probabilities", m->path);
        m->is_kept = size <= KEPT_BYTES;
        m->size = size;
        memcpy(m->text, text, m->is_kept ? size : 0);
    }
    return m;
}

/* Give the text that was written, and free it. */
static void finish(sqlite3_context *context, sqlite3_str *out) {
    const char *text = sqlite3_str_length(out) ? sqlite3_str_value(out) : "";
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    if (sqlite3_str_errcode(out) != SQLITE_OK)
        sqlite3_result_error_code(context, sqlite3_str_errcode(out));
    sqlite3_free(sqlite3_str_finish(out));
}

static void run_classify(sqlite3_context *context, int count, sqlite3_value **values) {
    model *m = answer(context, values[0], count > 1 ? values[1] : NULL);
    if (!m)
        return;
    double lowest = m->lowest;
    if (count > 2 && sqlite3_value_type(values[2]) != SQLITE_NULL)
        lowest = sqlite3_value_type(values[2]) <= SQLITE_FLOAT ? sqlite3_value_double(values[2])
                                                               : NO_THRESHOLD;
    if (!(lowest >= 0 && lowest <= (m->is_multi_label ? 0 : 1))) {
        fail(context, "the lowest probability is from 0 to 1; none for a model of several labels");
        return;
    }
    decision d = decide(m->engine, m->probabilities, status_code(m->status), (float)lowest);
    if (d.status == TEXT_ABSTAINED)
        return;
    sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(context));
    size_t label = d.label;
    for (const char *separator = ""; label < m->labels; separator = "|") {
        sqlite3_str_appendf(out, "%s%s", separator, edge_lstm_label(m->engine, label));
        label = other_label(m->engine, m->probabilities, label);
    }
    finish(context, out);
}

static void run_probability(sqlite3_context *context, int count, sqlite3_value **values) {
    model *m = answer(context, values[0], count > 2 ? values[2] : NULL);
    const char *label = (const char *)sqlite3_value_text(values[1]);
    size_t i = 0;
    while (m && label && i < m->labels && strcmp(label, edge_lstm_label(m->engine, i)) != 0)
        i++;
    if (m && label && i < m->labels)
        sqlite3_result_double(context, (double)m->probabilities[i]);
    else if (m)
        fail(context, "%!.200s has no label %!.200Q", m->path, label);
}

static void run_classify_json(sqlite3_context *context, int count, sqlite3_value **values) {
    model *m = answer(context, values[0], count > 1 ? values[1] : NULL);
    if (!m)
        return;
    if (m->lowest > 1) {
        fail(context, "%!.200s has no threshold for its own share of wrong answers", m->path);
        return;
    }
    sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(context));
    append_answer(out, m->engine, m->probabilities, m->lowest, m->status);
    finish(context, out);
}

/* Return whether the one statement that runs begins with a call of allow_model. SQLITE_DIRECTONLY
 * alone does not keep it out of a CHECK. */
static int is_direct(sqlite3 *db) {
    static const char CALL[] = "select allow_model(";
    int running = 0;
    int is_call = 0;
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s)) {
        const char *sql = sqlite3_sql(s);
        if (!sqlite3_stmt_busy(s))
            continue;
        running++;
        is_call = sql && sqlite3_strnicmp(sql + strspn(sql, " \t\r\n"), CALL, sizeof CALL - 1) == 0;
    }
    return running == 1 && is_call;
}

static void run_allow_model(sqlite3_context *context, int count, sqlite3_value **values) {
    const char *given = (const char *)sqlite3_value_text(values[count - 1]);
    const char *path = given ? given : "";
    model *m = find_model(sqlite3_user_data(context), slice_of(path, strlen(path)));
    if (!m && is_direct(sqlite3_context_db_handle(context)))
        m = open_model(context, path);
    else if (!m)
        fail(context, "write SELECT allow_model(path), while no other statement runs");
    if (m)
        sqlite3_result_text(context, m->digest, -1, SQLITE_TRANSIENT);
}

enum { OPEN = SQLITE_UTF8 | SQLITE_INNOCUOUS, PURE = OPEN | SQLITE_DETERMINISTIC };
static const struct {
    const char *name;
    int arguments;
    int flags;
    void (*run)(sqlite3_context *, int, sqlite3_value **);
} SQL[] = {
    {"classify", 1, OPEN, run_classify},
    {"classify", 2, PURE, run_classify},
    {"classify", 3, PURE, run_classify},
    {"probability", 2, OPEN, run_probability},
    {"probability", 3, PURE, run_probability},
    {"classify_json", 1, OPEN, run_classify_json},
    {"classify_json", 2, PURE, run_classify_json},
    {"allow_model", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, run_allow_model},
};

/* SQLITE_EXTENSION_INIT2, but written once: threads with a connection read the routines. */
static void take_routines(const sqlite3_api_routines *api) {
    enum { NOBODY, SOMEBODY, DONE };
    static int state = NOBODY;
    int expected = NOBODY;
    if (__atomic_compare_exchange_n(&state, &expected, SOMEBODY, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_ACQUIRE)) {
        SQLITE_EXTENSION_INIT2(api)
        __atomic_store_n(&state, DONE, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != DONE) {
    }
}

__attribute__((visibility("default"))) int
sqlite3_edgelstmsqlite_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    take_routines(api);
    const char *given = getenv("EDGE_LSTM_MODEL");
    const char *path = given ? given : "";
    connection *c = sqlite3_malloc64(sizeof *c + strlen(path) + 1);
    int code = SQLITE_OK;
    if (!c)
        return SQLITE_NOMEM;
    *c = (connection){.users = 1}; /* this function */
    strcpy(c->default_path, path);
    if (sqlite3_libversion_number() < OLDEST_SQLITE) {
        *error = sqlite3_mprintf("edge_lstm_sqlite needs SQLite 3.31 or a later one");
        code = SQLITE_ERROR;
    }
    for (size_t i = 0; code == SQLITE_OK && i < sizeof SQL / sizeof *SQL; i++) {
        c->users++; /* SQLite calls leave for a function that it does not take, too */
        code = sqlite3_create_function_v2(db, SQL[i].name, SQL[i].arguments, SQL[i].flags, c,
                                          SQL[i].run, NULL, NULL, leave);
    }
    leave(c);
    return code;
}
