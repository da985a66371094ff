# The worker programs of this room, and what each is linked with (names of pkg-config).
TYPES += snapshot snapshot-keeper filter pull
LIBS_snapshot := $(LIBS_WORKER) libgit2
LIBS_snapshot-keeper := $(LIBS_WORKER)
LIBS_filter := $(LIBS_WORKER)
LIBS_pull := $(LIBS_WORKER) libcurl
