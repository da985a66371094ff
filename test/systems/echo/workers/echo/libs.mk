# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += echo
LIBS_echo := $(LIBS_WORKER) hiredis openssl
