# The worker program of this room, and what it is linked with (names of pkg-config).
TYPES += web
LIBS_web := $(LIBS_WORKER) libmicrohttpd jansson libgit2
