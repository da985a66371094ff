-- queue_topics.lua: which queues want a topic, without a look at each pattern; behind queue_lib.
--
-- A walk through 10,000 patterns takes 7 ms. So where there are more than FEW queues, what a walk found stays in TOPICS: topic -> SHA-1 of the registry
-- that was walked, and the names. It is good while somebody vouches for that registry: VOUCHED holds its SHA-1, and when it was looked at (queue_vouch), which
-- is good for VOUCH_MS. Who finds it older looks at the registry himself, as vouch does, while it is there (KEPT_MS): a Redis that is busy with one client's
-- thousand deliveries hears nobody who vouches meanwhile, and none of these would be known. What is written is the SHA-1 of what was walked, never what is vouched for: a registry that was another one for a moment leaves nothing behind.
local FEW, VOUCH_MS, KEPT_MS, TOPICS_MAX, TOPIC_BYTES = 64, 1000, 15000, 10000, 1024
-- Where nobody delivers or vouches any more TOPICS goes.
local TOPICS_MS = 60000

local function registry_words()
  run.words = run.words or read('HGETALL', REGISTERED) or {}
  return run.words
end

-- The order of a hash changes while it grows: then a walk is made in vain.
local function registry_digest()
  run.digest = run.digest or redis.sha1hex(pack(registry_words()))
  return run.digest
end

-- The SHA-1 that is vouched for, and how old that was; else false. The clock is asked besides: it may have been set back, and then Redis keeps the key.
local function vouched()
  if run.vouched == nil then
    local digest, at = string.match(read('GET', VOUCHED) or '', '^(%x+) (%d+)$')
    run.age = digest and now - tonumber(at)
    run.looked = digest and run.age >= VOUCH_MS and run.age < KEPT_MS
    run.vouched = digest and run.age >= 0 and (run.age < VOUCH_MS and digest or run.looked and registry_digest()) or false
  end
  return run.vouched, run.age
end

-- The names that were found, or nil.
local function topic_known(topic)
  local digest = vouched()
  local entry = digest and read('HGET', TOPICS, topic)
  return entry and string.sub(entry, 1, #digest) == digest and unpack_msgpack(string.sub(entry, #digest + 1)) or nil
end

local function topic_found(topic, names)
  if vouched() and #run.found < CHUNK then
    local entry = registry_digest() .. pack(names)
    if #entry <= TOPIC_BYTES then
      run.found[#run.found + 1] = topic
      run.found[#run.found + 1] = entry
    end
  end
end

-- Any goes for a new one: those of registries that were are not found otherwise.
local function topics_write()
  if run.looked then
    call('SET', VOUCHED, run.vouched .. ' ' .. now_text, 'KEEPTTL')
  end
  local new = #run.found / 2
  local count = new > 0 and read('HLEN', TOPICS)
  if not count then
    return
  end
  if count + new > TOPICS_MAX then
    call('HDEL', TOPICS, unpack(call('HRANDFIELD', TOPICS, num(count + new - TOPICS_MAX))))
  end
  call_chunks('HSET', TOPICS, run.found)
end
