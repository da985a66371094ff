# The worker program of this room, and what it is linked with (names of pkg-config).
TYPES += gate
LIBS_gate := $(LIBS_WORKER) hiredis openssl jansson
