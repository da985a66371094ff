# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += job-keeper job-collector sanjer
LIBS_job-keeper := $(LIBS_WORKER) hiredis openssl jansson
LIBS_job-collector := $(LIBS_WORKER) hiredis openssl jansson libmicrohttpd
LIBS_sanjer := $(LIBS_WORKER) hiredis openssl jansson sqlite3 libpq
