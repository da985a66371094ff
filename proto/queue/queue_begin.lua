-- queue_begin.lua: where the parts end, and a call begins; the last part of each script.
begin(KEYS, ARGV)
