# The worker program of this room, and what it is linked with (names of pkg-config, and wslay: the Makefile).
TYPES += web
LIBS_web := $(LIBS_WORKER) libmicrohttpd jansson libgit2 openssl wslay
