/* contract.c: names of the contract's exit codes, and of mailboxes. See contract.h. */
#include "proto/contract.h"

#include <stddef.h>

const char *contract_exit_meaning(int code)
{
    switch (code) {
#define X(NAME, value, meaning)                                                                    \
    case value:                                                                                    \
        return meaning;
        CONTRACT_EXIT_LIST(X)
#undef X
    }
    return "crashed";
}

void contract_mailbox_id(const char *name, char id[CONTRACT_NAME_MAX])
{
    size_t i = 0;
    for (; i < CONTRACT_NAME_MAX - 1 && name[i] != '\0'; i++)
        id[i] = name[i] == '/' ? ',' : name[i];
    id[i] = '\0';
}
