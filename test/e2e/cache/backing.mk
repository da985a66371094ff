# The program by which test_backing.py asks a store.
BACKING_TOOL := $(BUILD)/test/e2e/backing_tool
$(BACKING_TOOL): $(call objects,test/e2e/cache/backing_tool.c) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_CORE) openssl libcurl)
unit check: $(BACKING_TOOL)

# A worker in a node's place, for test_cache_backing.py.
FAR_NODE := $(BUILD)/test/e2e/far_node
$(FAR_NODE): $(call objects,test/e2e/cache/far_node.c $(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_WORKER) openssl)
unit check: $(FAR_NODE)

# And one for test_cache_manager.py.
RING_NODE := $(BUILD)/test/e2e/ring_node
$(RING_NODE): $(call objects,test/e2e/cache/ring_node.c $(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_WORKER))
unit check: $(RING_NODE)
