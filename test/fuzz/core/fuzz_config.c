/*
 * fuzz_config.c: configuration files (master/config/config.h). What is accepted is printed, and
 * what is printed is accepted.
 */
#include "master/config/config_load.h"
#include "master/systems_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct config *load(const char *path, const void *bytes, size_t size, struct buffer *errors)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    buffer_clear(errors);
    systems_config_register();
    struct config *c = config_load(path, errors);
    if ((c == NULL) != (errors->len > 0))
        abort(); /* refused without a word, or accepted with one */
    return c;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char path[64];
    struct buffer errors = BUFFER_EMPTY, printed = BUFFER_EMPTY;
    snprintf(path, sizeof path, "/dev/shm/fuzz_config.%d", (int)getpid());
    struct config *c = load(path, data, size, &errors);
    if (c != NULL) {
        config_print(c, &printed);
        struct config *again = load(path, printed.data, printed.len, &errors);
        if (again == NULL) {
            fprintf(stderr, "%.*s\n%.*s\n", (int)printed.len, printed.data, (int)errors.len,
                    errors.data);
            abort();
        }
        config_free(again);
    }
    config_free(c);
    buffer_fini(&errors);
    buffer_fini(&printed);
    unlink(path);
    return 0;
}
