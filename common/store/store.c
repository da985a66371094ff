/* store.c: finds the back-end and calls it. See store.h. */
#include "common/store/store_backend.h"

#include <stdio.h>

static const struct store_ops *const store_backends[] = {&store_sqlite_ops, &store_postgres_ops,
                                                         &store_count_ops};

enum store_result store_open(const struct store_options *options, struct store **out,
                             struct store_error *error)
{
    for (size_t i = 0; i < sizeof store_backends / sizeof store_backends[0]; i++)
        if (strcmp(store_backends[i]->type, options->type) == 0)
            return store_backends[i]->open(options, out, error);
    snprintf(error->text, sizeof error->text, "store type %s is not known", options->type);
    return STORE_BROKEN;
}

void store_close(struct store *s)
{
    if (s != NULL)
        s->ops->close(s);
}

enum store_result store_write(struct store *s, const struct store_record *records, size_t count,
                              struct store_error *error)
{
    return s->ops->write(s, records, count, error);
}

enum store_result store_try(struct store *s, const struct store_record *record,
                            struct store_error *error)
{
    return s->ops->try(s, record, error);
}

bool store_rest(struct store *s, struct store_error *error)
{
    error->text[0] = '\0';
    return s->ops->rest == NULL || s->ops->rest(s, error);
}

bool store_take_news(struct store *s, struct store_error *news)
{
    if (s->news.text[0] == '\0')
        return false;
    *news = s->news;
    s->news.text[0] = '\0';
    return true;
}

const char *store_ails(const struct store *s)
{
    return s->ails.text;
}

enum store_result store_report(struct store *s, const struct store_query *query,
                               void (*on_row)(const struct store_report_row *row, bool over_time,
                                              void *ctx),
                               void *ctx, uint64_t *total, struct store_error *error)
{
    return s->ops->report(s, query, on_row, ctx, total, error);
}
