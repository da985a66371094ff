-- copies: run, incarnation, cursor ('0': from the start) -> OK, mark, state (0 live, 1 lost), next cursor ('0': that was all),
--   [key, "VERSION RECORD", ...]; MOVED: there is no such node
--
-- A page of a node's copies: some BYTES of them, or one. For the master, which stores those of a lost node. Model: the master's store of the
-- copies.
-- Again: the same page, or what is there by then.
-- O(page).
local inc, cursor = ARGV[2], ARGV[3]
local BYTES = 1024 * 1024
if not enter() then
  return pack(JOIN)
end
local entry = node(inc)
if not entry then
  return pack(MOVED)
end
local page, bytes = {}, 0
repeat
  local found
  cursor, found = unpack(call('HSCAN', COPIES .. inc, cursor, 'COUNT', '4'))
  for i = 1, #found do
    page[#page + 1] = found[i]
    bytes = bytes + #found[i] + 16
  end
until cursor == '0' or bytes >= BYTES
return pack(OK, entry[1], entry[2], cursor, page)
