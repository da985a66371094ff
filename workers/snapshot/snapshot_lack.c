/*
 * snapshot_lack.c: what should be in a snapshot's repository, and is not: an object that is missing, or broken. See
 * snapshot_repo_private.h.
 *
 * Found by whoever comes upon it, for to look at all of them would take as long as git fsck does. What was cut off
 * (snapshot_cut.h) is not missing: whether a commit's parents were, git's file `shallow` says.
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which one libgit2 has not found stands in its words: of a file in folders it is one of many. */
static void lack_which(git_oid *id)
{
    const git_error *e = git_error_last();
    const char *at =
        e != NULL && e->message != NULL ? strstr(e->message, "no match for id (") : NULL;
    git_oid found;
    if (at != NULL &&
        git_oid_fromstrn(&found, at + strlen("no match for id ("), GIT_OID_HEXSZ) == 0)
        *id = found;
}

static void lack_say(const struct snapshot_repo *r, const git_oid *id, char *why)
{
    char text[SNAPSHOT_ID_SIZE];
    git_oid_tostr(text, sizeof text, id);
    snprintf(why, SNAPSHOT_WHY_SIZE,
             "object %s is missing or broken in %s: copy it from a clone, the mirror or a backup",
             text, git_repository_path(r->git));
}

/* By a look at the disk, past all that libgit2 knows of packs. */
static bool lack_reads(struct snapshot_repo *r, const git_oid *id)
{
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    bool reads = git_repository_odb(&odb, r->git) == 0 && git_odb_refresh(odb) == 0 &&
                 git_odb_read(&object, odb, id) == 0;
    git_odb_object_free(object);
    git_odb_free(odb);
    return reads;
}

bool snapshot_repo_lack(struct snapshot_repo *r, const git_oid *id, const git_oid *of, char *why)
{
    git_oid which = *id;
    lack_which(&which);
    if (of != NULL && !lack_reads(r, of))
        return snapshot_repo_fail(why, "it was cut off meanwhile");
    lack_say(r, &which, why);
    if (!r->lacks) {
        log_error("snapshot-lack", "cause=%s", log_quote_text(why));
        r->lack = which;
    }
    r->lacks = true;
    return false;
}

bool snapshot_repo_lacks(struct snapshot_repo *r, char *why)
{
    if (r->lacks && lack_reads(r, &r->lack))
        r->lacks = false;
    if (r->lacks)
        lack_say(r, &r->lack, why);
    return r->lacks;
}

void snapshot_repo_mend(struct snapshot_repo *r, struct slice bytes)
{
    git_oid id;
    if (r->lacks && git_odb_hash(&id, bytes.ptr, bytes.len, GIT_OBJECT_BLOB) == 0 &&
        git_oid_equal(&id, &r->lack))
        (void)snapshot_object_write(r, GIT_OBJECT_BLOB, bytes, &id);
}

bool snapshot_repo_was_cut(struct snapshot_repo *r, const git_oid *commit)
{
    char path[4096], text[SNAPSHOT_ID_SIZE], line[SNAPSHOT_ID_SIZE + 2];
    bool was = false;
    git_oid_tostr(text, sizeof text, commit);
    if (snprintf(path, sizeof path, "%sshallow", git_repository_path(r->git)) >= (int)sizeof path)
        return true;
    FILE *f = fopen(path, "re");
    while (f != NULL && !was && fgets(line, sizeof line, f) != NULL)
        was = strncmp(line, text, GIT_OID_HEXSZ) == 0;
    if (f != NULL)
        fclose(f);
    return was;
}
