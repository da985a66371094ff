# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += backbone queue
LIBS_backbone := $(LIBS_WORKER) hiredis openssl jansson
LIBS_queue := $(LIBS_WORKER) hiredis openssl
