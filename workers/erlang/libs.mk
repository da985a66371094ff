# The worker programs of this room, and what each is linked with (names of pkg-config, and ei: the Makefile, libei).
TYPES += erlang
LIBS_erlang := $(LIBS_WORKER) jansson hiredis openssl ei
