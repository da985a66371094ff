# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += cache-backing cache-node
LIBS_cache-backing := $(LIBS_WORKER) libcurl openssl
LIBS_cache-node := $(LIBS_WORKER) jansson openssl hiredis
