/* ctl_snapshot_pack.c: the verb that has git pack repositories. See ctl_snapshot.h. */
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/snapshot/ctl_snapshot.h"

#include <inttypes.h>

struct packing {
    const char *only; /* NULL: all */
    size_t met;
    json_t *rows;
};

static int pack_store(struct ctl *c, const char *store, void *ctx)
{
    struct packing *p = ctx;
    json_t *answer = NULL;
    const struct slice words[] = {slice_of("snapshot-keeper"), slice_of(store),
                                  slice_of("snapshot-pack")};
    if (p->only != NULL && strcmp(p->only, store) != 0)
        return CONTROL_OK;
    p->met++;
    int status = ctl_request_json(c, "ask", 3, words, &answer);
    if (status != CONTROL_OK)
        return status;
    if (json_object_set_new(answer, "store", json_string(store)) != 0 ||
        json_array_append(p->rows, answer) != 0)
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    json_decref(answer);
    return status;
}

static void pack_render(struct ctl *c, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        char bytes[TEXT_NUMBER_SIZE];
        buffer_printf(&c->out, "%s: packed: %" PRIu64 " packs, %" PRIu64 " loose objects, %s\n",
                      ctl_value_text(row, "store"), ctl_value_u64(row, "packs"),
                      ctl_value_u64(row, "loose"),
                      text_format_size_short(ctl_value_u64(row, "bytes"), bytes));
    }
}

int ctl_snapshot_pack_run(struct ctl *c)
{
    struct packing p = {.only = c->args.argc > 0 ? c->args.argv[0] : NULL, .rows = json_array()};
    int status = ctl_snapshot_each(c, pack_store, &p);
    if (status == CONTROL_OK && p.only != NULL && p.met == 0)
        status = ctl_fail(CONTROL_NO_NAME,
                          "no snapshot named '%s': platoonctl snapshot list names them", p.only);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, p.rows);
    else if (status == CONTROL_OK)
        pack_render(c, p.rows);
    json_decref(p.rows);
    return status;
}
