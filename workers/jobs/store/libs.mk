# A program that sanjers run, and what it is linked with: no worker type, so it has neither skeleton nor mailbox.
TOOLS += job-store
LIBS_job-store := $(MSGPACK) jansson libmariadb
