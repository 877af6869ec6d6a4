/* sql_threads EXTENSION DATABASE MODEL THREADS: each thread opens the database, loads the extension
 * and classifies every text of the table texts. Prints the answers of the first; exits with 1 if
 * another's differ. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 64 };

static char **arguments;

static void *answers(void *unused) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    char *error = NULL;
    (void)unused;
    if (sqlite3_open(arguments[2], &db) != SQLITE_OK)
        return NULL;
    sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, arguments[1], "sqlite3_edgelstmsqlite_init", &error))
        return error;
    char *sql = sqlite3_mprintf("SELECT allow_model(%Q)", arguments[3]);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    sql = sqlite3_mprintf("SELECT group_concat(classify_json(text, %Q), char(10)) FROM texts",
                          arguments[3]);
    char *found = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
        if (sqlite3_step(statement) == SQLITE_ROW)
            found = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
        else
            found = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    sqlite3_close(db);
    return found;
}

int main(int count, char **values) {
    pthread_t threads[MOST_THREADS];
    char *found[MOST_THREADS];
    int wrong = 0;
    int num_threads = count == 5 ? atoi(values[4]) : 0;
    if (num_threads < 1 || num_threads > MOST_THREADS)
        return 2;
    arguments = values;
    for (int i = 0; i < num_threads; i++)
        pthread_create(&threads[i], NULL, answers, NULL);
    for (int i = 0; i < num_threads; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        found[i] = result;
        wrong |= !found[i] || strcmp(found[i], found[0]) != 0;
    }
    puts(found[0] ? found[0] : "");
    for (int i = 0; i < num_threads; i++)
        sqlite3_free(found[i]);
    return wrong;
}
