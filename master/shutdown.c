/* shutdown.c: see shutdown.h. */
#include "master/shutdown.h"

#include "common/log.h"
#include "master/start/notify.h"
#include "master/supervise/supervisor.h"

#include <unistd.h>

void master_shutdown(struct master *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    log_info("platoon-stopping", "pid=%d", (int)getpid());
    notify_send("STOPPING=1\nSTATUS=stopping");
    supervisor_stop(m->root);
}
