-- dead_show: seq... -> array of {seq, member, reason, attempts, at, has_data, the member's length, type, data, total}
--
-- data of a hash: array of name, value, the value's length, name, …; total: its fields. Of anything else: its text, or its first elements, a
-- line each; total: its bytes. What is longer than what is there was cut or left out: a value above VALUE_MAX, fields beyond FIELDS_MAX (which
-- they are is Redis' choice), and everything when SHOW_MAX bytes of the answer are used up.
local VALUE_MAX, FIELDS_MAX, ELEMENTS_MAX, SHOW_MAX = 64 * 1024, 1000, 100, 1024 * 1024
local SOME = 20 -- fields shown of a hash that is too large to be read
local shown = 0

local function show(text, most)
  local part = cut(text, math.max(0, math.min(most, SHOW_MAX - shown)))
  shown = shown + #part
  return part
end

-- What the key takes in Redis, exactly where that is little work; nil when Redis does not say.
local function size_of(key, count)
  local size = pcall('MEMORY', 'USAGE', key, 'SAMPLES', count <= FIELDS_MAX and '0' or '20')
  return type(size) == 'number' and size or nil
end

local function small(key, count)
  local size = count <= FIELDS_MAX and size_of(key, count)
  return size and size <= SHOW_MAX - shown
end

local function show_hash(key)
  local count, pairs_of = call('HLEN', key), {}
  local function add(name, value, len)
    pairs_of[#pairs_of + 1] = show(name, HEAD_MAX)
    pairs_of[#pairs_of + 1] = show(value, VALUE_MAX)
    pairs_of[#pairs_of + 1] = len
  end
  if small(key, count) then
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
      add(all[i], all[i + 1], #all[i + 1])
    end
    return pairs_of, count
  end
  local names = shown < SHOW_MAX and pcall('HRANDFIELD', key, num(SOME)) or {} -- an error, before Redis 6.2: none
  for _, name in ipairs(names) do
    local len = call('HSTRLEN', key, name)
    add(name, len <= VALUE_MAX and call('HGET', key, name) or '', len)
  end
  return pairs_of, count
end

local function show_string(key)
  return show(call('GETRANGE', key, 0, VALUE_MAX + 3), VALUE_MAX), call('STRLEN', key)
end

local elements = {
  list = {'LLEN', function(key) return call('LRANGE', key, 0, ELEMENTS_MAX - 1) end},
  set = {'SCARD', function(key) return call('SRANDMEMBER', key, ELEMENTS_MAX) end},
  zset = {'ZCARD', function(key) return call('ZRANGE', key, 0, ELEMENTS_MAX - 1) end},
}

local function show_elements(key, kind)
  local count = call(elements[kind][1], key)
  if not small(key, count) then
    return '', size_of(key, count) or -1
  end
  local text = table.concat(elements[kind][2](key), '\n')
  return show(text, VALUE_MAX), #text
end

local letters = {}
for i, seq in ipairs(named_letters(1, 0)) do
  local key, letter = dead_key(seq) .. ':data', letter_head(seq)
  local kind = call('TYPE', key).ok
  local data, total = '', 0
  if kind == 'hash' then
    data, total = show_hash(key)
  elseif kind == 'string' then
    data, total = show_string(key)
  elseif elements[kind] then
    data, total = show_elements(key, kind)
  end
  letter[8], letter[9], letter[10] = kind, data, total
  letters[i] = letter
end
return letters
