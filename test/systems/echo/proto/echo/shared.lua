-- shared.lua: what every script of an echo section shares; it stands in front of each. KEYS[1] is the section's prefix, "platoon:{NAME}:".
local COUNT = KEYS[1] .. 'said'
