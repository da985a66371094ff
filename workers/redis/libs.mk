# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += send
LIBS_send := $(LIBS_WORKER) hiredis openssl
