# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += watcher get-set get-hash transfer report
LIBS_watcher := $(LIBS_WORKER) hiredis openssl
LIBS_get-set := $(LIBS_WORKER) hiredis openssl
LIBS_get-hash := $(LIBS_WORKER) hiredis openssl
LIBS_transfer := $(LIBS_WORKER) sqlite3 libpq libcurl jansson
LIBS_report := $(LIBS_WORKER) sqlite3 libpq
