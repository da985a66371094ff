/* check.c: the steps of a start that change nothing. See check.h. */
#include "master/check.h"

#include "master/build/tree_build.h"
#include "master/config/config_load.h"
#include "master/start/preflight.h"
#include "master/systems_config.h"
#include "master/systems_tree.h"

static int check_tree(const struct config *c, struct buffer *errors, struct buffer *warnings)
{
    struct preflight p;
    int code = preflight_places(&p, c, errors);
    struct node *root = code == 0 ? tree_build(c, &p, errors) : NULL;
    if (root != NULL)
        code = preflight_check_tree(&p, c, root, PREFLIGHT_CHECK, errors, warnings);
    tree_free(root);
    return root != NULL && code == 0 ? 0 : PREFLIGHT_CONFIG;
}

int check_file(const char *path, struct buffer *errors, struct buffer *warnings)
{
    systems_config_register();
    systems_tree_register();
    struct config *c = config_load(path, errors);
    int code = c != NULL ? check_tree(c, errors, warnings) : PREFLIGHT_CONFIG;
    config_free(c);
    return code;
}
