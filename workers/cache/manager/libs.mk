# The worker program of this room, and what it is linked with (names of pkg-config).
TYPES += cache-manager
LIBS_cache-manager := $(LIBS_WORKER) hiredis openssl
