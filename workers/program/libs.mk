# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += command port
LIBS_command := $(LIBS_WORKER)
LIBS_port := $(LIBS_WORKER) jansson
