/* contract.c: names of the contract's exit codes, and of mailboxes. See contract.h. */
#include "proto/contract.h"

#include <errno.h>

#include <stdio.h>

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

bool contract_is_shortage(int error)
{
    static const int all[] = {EMFILE, ENFILE, EAGAIN, ENOMEM, ENOSPC, EDQUOT, ENOBUFS};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] == error)
            return true;
    return false;
}

const char *contract_shortage_remedy(int error)
{
    if (!contract_is_shortage(error))
        return "";
    switch (error) {
    case EMFILE:
        return "raise the limit of open files (LimitNOFILE=, ulimit -n)";
    case ENFILE:
        return "raise fs.file-max, or end who holds so many files";
    case EAGAIN:
        return "raise the limit of processes (TasksMax=, pids.max, ulimit -u)";
    case ENOSPC:
        return "raise fs.epoll.max_user_watches";
    case EDQUOT:
        return "raise its user's quota";
    default:
        return "make room in this host's memory";
    }
}

const char *contract_shortage_remedy_at(int error, const char *path, char *text, size_t size)
{
    if (error != ENOSPC && error != EDQUOT)
        return contract_shortage_remedy(error);
    snprintf(text, size, "make room where %s is", path);
    return text;
}

const char *contract_file_remedy(int error, const char *path, char *text, size_t size)
{
    return contract_is_shortage(error) ? contract_shortage_remedy_at(error, path, text, size)
                                       : "it must be a file that platoon may write";
}

int contract_exit_for(int error)
{
    return contract_is_shortage(error) ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_TEMPORARY;
}

void contract_mailbox_id(const char *name, char id[CONTRACT_NAME_MAX])
{
    size_t i = 0;
    for (; i < CONTRACT_NAME_MAX - 1 && name[i] != '\0'; i++)
        id[i] = name[i] == '/' ? ',' : name[i];
    id[i] = '\0';
}
