/* web_client.h: client.js, as the Makefile makes it a text of C. */
#ifndef WORKERS_SNAPSHOT_WEB_CLIENT_H
#define WORKERS_SNAPSHOT_WEB_CLIENT_H

extern const char web_client_js[];

#endif
