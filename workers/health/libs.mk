# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += health
LIBS_health := $(LIBS_WORKER) libmicrohttpd
