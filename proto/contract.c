/* contract.c: names of the contract's exit codes. See contract.h. */
#include "proto/contract.h"

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
